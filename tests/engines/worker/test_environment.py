"""What a child's environment holds."""

from __future__ import annotations

from craton.children.process import clean_environment


def test_nothing_of_the_servers_own_is_passed() -> None:
    made = clean_environment({"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "x", "HTTPS_PROXY": "y", "PYTHONPATH": "z"})
    assert made["PATH"] == "/bin"
    assert not {"x", "y", "z"} & set(made.values())
    assert made["HF_HUB_OFFLINE"] == "1"


def test_how_threads_wait_is_the_operators_to_say() -> None:
    usual = clean_environment({})
    assert (usual["OMP_WAIT_POLICY"], usual["GOMP_SPINCOUNT"]) == ("PASSIVE", "300")
    active = clean_environment({"OMP_WAIT_POLICY": "ACTIVE"})
    assert active["OMP_WAIT_POLICY"] == "ACTIVE"
    assert "GOMP_SPINCOUNT" not in active  # it would count before the policy
