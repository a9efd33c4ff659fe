"""Repositories with the stock client: their life, settings, names, and what is said about them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from huggingface_hub import HfApi, ModelCard
from huggingface_hub.errors import (
    BadRequestError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from msgspec.structs import replace

from craton.core.access import KeyRole
from craton.core.repo import Add, Delete, RepoId
from craton.hub.git import pointer_id
from tests.app.collaborating import Company, company
from tests.formats.makers import safetensors

CARD = """---
license: mit
library_name: transformers
pipeline_tag: text-generation
language: [en, de]
tags: [tiny]
datasets: [squad]
base_model: acme/base
when: 2024-02-30x
---
# A model
"""


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with company(tmp_path_factory.mktemp("repositories") / "home", "[hub]\nanonymous = true\n") as running:
        yield running


def status_of(error: pytest.ExceptionInfo[HfHubHTTPError]) -> int:
    return error.value.response.status_code


def test_whoami_names_the_tenant_its_namespaces_and_what_the_key_may_do(firm: Company) -> None:
    firm.alice.create_repo("alices-lab/first")
    me = firm.alice.whoami()
    assert (me["name"], me["type"], me["auth"]["accessToken"]["role"]) == ("alice", "user", "write")
    assert "alices-lab" in [org["name"] for org in me["orgs"]]
    reader = firm.platform.keys.create("alice", "reader", KeyRole.READER).token
    assert firm.alice.whoami(token=reader)["auth"]["accessToken"]["role"] == "read"
    with pytest.raises(HfHubHTTPError) as refused:
        HfApi(endpoint=firm.server.url, token=reader).create_repo("mine")
    assert status_of(refused) == 403


@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
def test_a_repository_lives_from_create_to_delete(firm: Company, kind: str) -> None:
    sdk = {"space_sdk": "gradio"} if kind == "space" else {}
    url = firm.alice.create_repo("a-life", repo_type=kind, **sdk)
    assert (url.repo_id, url.repo_type) == ("alice/a-life", kind)
    with pytest.raises(HfHubHTTPError) as twice:
        firm.alice.create_repo("alice/a-life", repo_type=kind, **sdk)
    assert status_of(twice) == 409
    assert firm.alice.create_repo("a-life", repo_type=kind, exist_ok=True, **sdk) == url
    info = firm.alice.repo_info("alice/a-life", repo_type=kind)
    expected = {"README.md", ".gitattributes"} if kind == "space" else {".gitattributes"}
    assert {file.rfilename for file in info.siblings or []} == expected
    assert (info.id, info.author, info.private, info.sha) == (
        "alice/a-life",
        "alice",
        True,
        firm.alice.list_repo_commits("alice/a-life", repo_type=kind)[0].commit_id,
    )
    if kind == "space":
        assert info.sdk == "gradio"
    firm.alice.delete_repo("alice/a-life", repo_type=kind)
    assert not firm.alice.repo_exists("alice/a-life", repo_type=kind)
    with pytest.raises(RepositoryNotFoundError, match="Request ID"):
        firm.alice.delete_repo("alice/a-life", repo_type=kind)


@pytest.mark.parametrize("name", ["api/x", "alice/tree", "alice/a..b", "alice/x.git", "alice/" + "x" * 97])
def test_a_name_that_cannot_be_is_refused(firm: Company, name: str) -> None:
    organization, _, short = name.partition("/")
    with firm.server.client() as client:
        made = client.post("/api/repos/create", json={"name": short, "organization": organization})
    assert made.status_code == 400
    assert made.headers["x-error-message"] == made.json()["error"]


def test_what_a_space_would_run_on_is_refused(firm: Company) -> None:
    with pytest.raises(BadRequestError, match="hardware"):
        firm.alice.create_repo("s", repo_type="space", space_sdk="docker", space_hardware="t4-small")  # type: ignore[arg-type]


def test_a_moved_repository_is_found_under_both_names_until_the_old_one_is_taken(firm: Company) -> None:
    sha = firm.alice.repo_info(firm.alice.create_repo("old-name").repo_id).sha
    firm.alice.create_repo("taken")
    with pytest.raises(HfHubHTTPError, match="A model repository called alice/taken already exists"):
        firm.alice.move_repo("alice/old-name", "alice/taken")
    firm.alice.move_repo("alice/old-name", "alices-lab/new-name")
    for name in ("alice/old-name", "alices-lab/new-name"):
        info = firm.alice.model_info(name)
        assert (info.id, info.sha) == ("alices-lab/new-name", sha)
        assert firm.alice.list_repo_files(name) == [".gitattributes"]
    assert not firm.bob.repo_exists("alice/old-name")
    firm.alice.create_repo("old-name")
    assert firm.alice.model_info("alice/old-name").id == "alice/old-name"
    firm.alice.move_repo("alices-lab/new-name", "alices-lab/newer")
    firm.alice.move_repo("alices-lab/newer", "alices-lab/new-name")  # there and back
    assert firm.alice.model_info("alices-lab/new-name").sha == sha


def test_settings_say_who_may_see_it(firm: Company) -> None:
    name = firm.alice.create_repo("settings-of-it", private=True).repo_id
    assert not firm.bob.repo_exists(name)
    for gated in ("auto", "manual", False):
        for private in (True, False):
            firm.alice.update_repo_settings(name, gated=gated, private=private)
            info = firm.alice.model_info(name)
            assert (info.gated, info.private) == (gated, private)
            assert firm.bob.repo_exists(name) is not private
    with pytest.raises(HfHubHTTPError) as foreign:
        firm.bob.update_repo_settings(name, private=True)
    assert status_of(foreign) == 403
    with pytest.raises(BadRequestError, match="protected"):
        firm.alice.create_repo("protected", repo_type="space", space_sdk="docker", visibility="protected")


def test_strangers_read_what_is_public_where_the_operator_lets_them(firm: Company) -> None:
    firm.alice.create_repo("open-to-all", private=False)
    firm.alice.create_repo("closed", private=True)
    stranger = HfApi(endpoint=firm.server.url, token=False)
    assert stranger.model_info("alice/open-to-all").id == "alice/open-to-all"
    assert stranger.list_repo_files("alice/open-to-all") == [".gitattributes"]
    assert "alice/open-to-all" in [it.id for it in stranger.list_models(author="alice")]
    assert "alice/closed" not in [it.id for it in stranger.list_models(author="alice")]
    assert not stranger.repo_exists("alice/closed")
    with httpx.Client(base_url=firm.server.url, trust_env=False) as client:
        for method, path in (
            ("POST", "/api/repos/create"),
            ("GET", "/api/whoami-v2"),
            ("GET", "/v1/models"),
            ("POST", "/api/models/alice/open-to-all/branch/x"),
        ):
            assert client.request(method, path, content=b"{}").status_code == 401
        wrong = client.get("/api/models/alice/open-to-all", headers={"authorization": "Bearer hf_wrong"})
        assert (wrong.status_code, wrong.headers["x-error-message"]) == (
            401,
            "Invalid credentials in Authorization header",
        )


def test_a_card_says_what_a_model_is(firm: Company) -> None:
    weights = safetensors({"a": (2, 3), "b": (4,)})
    repo = firm.repo(
        files={
            "README.md": CARD.encode(),
            "config.json": b'{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "secret": 1}',
            "model.safetensors": weights,
        }
    )
    info = firm.alice.model_info(repo.path, files_metadata=True)
    assert (info.library_name, info.pipeline_tag) == ("transformers", "text-generation")
    assert info.config == {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    assert info.safetensors is not None
    assert (info.safetensors.parameters, info.safetensors.total) == ({"F32": 10}, 10)
    assert {
        "transformers",
        "safetensors",
        "tiny",
        "en",
        "de",
        "dataset:squad",
        "license:mit",
        "base_model:acme/base",
    } <= set(info.tags or [])
    assert info.card_data is not None
    assert info.card_data.license == "mit"
    assert {file.rfilename: file.size for file in info.siblings or []}["model.safetensors"] == len(weights)
    few = firm.alice.model_info(repo.path, expand=["author", "usedStorage", "downloads"])
    assert (few.author, few.downloads, few.tags) == ("alice", 0, None)
    assert few.used_storage == sum(file.size or 0 for file in info.siblings or [])
    with pytest.raises(BadRequestError, match='"expand" must be one of'):
        firm.alice.model_info(repo.path, expand=["nonsense"])  # type: ignore[list-item]


def test_a_card_follows_main_and_an_older_revision_keeps_its_own(firm: Company) -> None:
    repo = firm.repo(files={"README.md": b"---\ntags: [before]\n---\n"})
    old = firm.alice.model_info(repo.path).sha
    firm.commit(repo, "main", firm.add("alice", "README.md", b"---\ntags: [after]\n---\n"))
    assert firm.alice.model_info(repo.path).tags == ["after"]
    assert firm.alice.model_info(repo.path, revision=old).tags == ["before"]
    firm.commit(
        repo, "main", firm.add("alice", "README.md", b"---\na: &a [1]\nb: {c: *a}\nd: [" + b"[" * 300 + b"\n---")
    )
    info = firm.alice.model_info(repo.path)
    assert (info.tags, info.card_data) == ([], None)


def test_lists_are_searched_filtered_sorted_and_cut_into_pages(firm: Company) -> None:
    cards = {"list-one": "x", "list-two": "y", "list-three": "y"}
    for name, tag in cards.items():
        repo = RepoId("dataset", "lists", name)
        readme = firm.add("alice", "README.md", f"---\ntags: [{tag}]\nlanguage: fr\n---\n".encode())
        firm.platform.hub.create("alice", repo, first=[readme])

    def names(**asked: object) -> list[str]:
        return [it.id.partition("/")[2] for it in firm.alice.list_datasets(author="lists", **asked)]  # type: ignore[arg-type]

    assert names(sort="created_at") == ["list-three", "list-two", "list-one"]
    assert sorted(names(filter="y")) == ["list-three", "list-two"]
    assert names(filter=["x", "language:fr"]) == ["list-one"]
    assert names(search="LIST one") == ["list-one"]
    assert names(search="li%t") == []
    assert names(sort="created_at", limit=2) == ["list-three", "list-two"]
    assert firm.bob.list_datasets(author="lists").__next__ is not None
    assert list(firm.bob.list_datasets(author="lists")) == []
    with firm.server.client() as client:
        headers = {"authorization": f"Bearer {firm.alice.token}"}
        url, seen = "/api/datasets?author=lists&sort=createdAt&limit=1&full=true", []
        while url:
            page = client.get(url, headers=headers)
            seen += [it["id"] for it in page.json()]
            url = page.links.get("next", {}).get("url", "")
        assert seen == ["lists/list-three", "lists/list-two", "lists/list-one"]
        up = client.get("/api/datasets?author=lists&sort=createdAt&direction=1", headers=headers).json()
        assert [it["id"] for it in up] == seen[::-1]
        for refused in ("sort=nonsense", "limit=x", "cursor=x", "inference=warm", "expand=nonsense"):
            assert client.get(f"/api/models?{refused}", headers=headers).status_code == 400


def test_of_two_repositories_with_one_name_lists_show_the_one_that_the_name_means(firm: Company) -> None:
    same = RepoId("model", "popular", "name")
    theirs = firm.platform.hub.create("bob", same, private=False)
    assert [it.id for it in firm.alice.list_models(author="popular")] == ["popular/name"]
    mine = firm.platform.hub.create("alice", same, private=True)
    with firm.server.client() as client:
        for api, expected in ((firm.alice, mine.id), (firm.bob, theirs.id)):
            headers = {"authorization": f"Bearer {api.token}"}
            listed = client.get("/api/models?author=popular", headers=headers).json()
            assert [it["_id"] for it in listed] == [expected]
            assert client.get("/api/models/popular/name", headers=headers).json()["_id"] == expected


def test_trees_are_listed_whole_by_folder_and_page_by_page(firm: Company) -> None:
    big = firm.add("alice", "big.bin", b"large")
    repo = firm.repo(files={"a/b/c.txt": b"1", "a/d.txt": b"22", "e f?#%.txt": b"333", "ü.txt": b""})
    firm.commit(repo, "main", Add("big.bin", big.digest, big.size, large=True))
    whole = {it.path: it for it in firm.alice.list_repo_tree(repo.path, recursive=True)}
    assert list(whole) == ["a", "a/b", "a/b/c.txt", "a/d.txt", "big.bin", "e f?#%.txt", "ü.txt"]
    assert [it.path for it in firm.alice.list_repo_tree(repo.path)] == ["a", "big.bin", "e f?#%.txt", "ü.txt"]
    assert [it.path for it in firm.alice.list_repo_tree(repo.path, "a/b")] == ["a/b/c.txt"]
    assert whole["big.bin"].lfs == {"size": 5, "sha256": big.digest, "pointer_size": 126}
    assert whole["big.bin"].blob_id == pointer_id(big.digest, 5)
    with pytest.raises(EntryNotFoundError):
        list(firm.alice.list_repo_tree(repo.path, "a/x"))
    with pytest.raises(RevisionNotFoundError):
        list(firm.alice.list_repo_tree(repo.path, revision="nope"))
    with firm.server.client() as client:
        headers = {"authorization": f"Bearer {firm.alice.token}"}
        url, seen = f"/api/models/{repo.path}/tree/main?recursive=true&limit=2", []
        while url:
            page = client.get(url, headers=headers)
            seen += [it["path"] for it in page.json()]
            url = page.links.get("next", {}).get("url", "")
            if len(seen) == 2:  # a list is of one moment
                firm.commit(repo, "main", Delete("a/"))
    assert seen == list(whole)


def test_paths_are_told_with_the_commit_that_changed_them(firm: Company) -> None:
    repo = firm.repo(files={"a/b.txt": b"1", "a/c.txt": b"1", "d.txt": b"1"})
    first = firm.alice.list_repo_commits(repo.path)[0].commit_id
    second = firm.commit(repo, "main", firm.add("alice", "a/c.txt", b"2"), message="second\n\nlong").id
    for number in range(12):
        firm.commit(repo, "main", firm.add("alice", f"e{number}.txt", b"e"))
    found = firm.alice.get_paths_info(repo.path, ["a", "a/b.txt", "a/c.txt", "d.txt", "nope", "a/nope"], expand=True)
    assert {it.path: it.last_commit["oid"] for it in found if it.last_commit} == {
        "a": second,
        "a/b.txt": first,
        "a/c.txt": second,
        "d.txt": first,
    }
    assert next(it.last_commit for it in found if it.path == "a")["title"] == "second"
    assert firm.alice.get_paths_info(repo.path, []) == []
    top = {it.path: it.last_commit["oid"] for it in firm.alice.list_repo_tree(repo.path, expand=True) if it.last_commit}
    assert (top["a"], top["d.txt"], len(top)) == (second, first, 14)


def test_branches_tags_and_other_refs(firm: Company) -> None:
    repo = firm.repo().path
    first = firm.alice.model_info(repo).sha
    firm.alice.create_tag(repo, tag="v1", tag_message="one")
    firm.commit(RepoId("model", *repo.split("/")), "main", firm.add("alice", "x", b"x"))
    head = firm.alice.model_info(repo).sha
    firm.alice.create_branch(repo, branch="side/one", revision="v1")
    firm.alice.create_branch(repo, branch="short", revision=(head or "")[:8])
    for again in (lambda: firm.alice.create_branch(repo, branch="main"), lambda: firm.alice.create_tag(repo, tag="v1")):
        with pytest.raises(HfHubHTTPError, match="already exists") as twice:
            again()
        assert status_of(twice) == 409
    firm.alice.create_branch(repo, branch="side/one", exist_ok=True)
    firm.platform.hub.create_ref("alice", RepoId("model", *repo.split("/")), "convert", "parquet", "v1")
    pull = firm.bob.create_pull_request(repo, "please").num
    refs = firm.alice.list_repo_refs(repo, include_pull_requests=True)
    assert {ref.name: ref.target_commit for ref in refs.branches} == {"main": head, "side/one": first, "short": head}
    assert [(ref.ref, ref.target_commit) for ref in refs.tags] == [("refs/tags/v1", first)]
    assert [(ref.ref, ref.target_commit) for ref in refs.converts] == [("refs/convert/parquet", first)]
    assert [ref.ref for ref in refs.pull_requests or []] == [f"refs/pr/{pull}"]
    assert firm.alice.model_info(repo, revision="refs/convert/parquet").sha == first
    assert firm.alice.model_info(repo, revision=f"refs/pr/{pull}").sha == head
    for missing in ("nope", "refs/pr/99", "0" * 40, "refs/x", (head or "")[:6]):
        assert not firm.alice.revision_exists(repo, missing)
    with pytest.raises(HfHubHTTPError, match="Cannot delete refs/heads/main"):
        firm.alice.delete_branch(repo, branch="main")
    firm.alice.delete_branch(repo, branch="side/one")
    with pytest.raises(RevisionNotFoundError, match="Invalid rev id"):
        firm.alice.delete_branch(repo, branch="side/one")
    firm.alice.delete_tag(repo, tag="v1")
    with pytest.raises(RevisionNotFoundError):
        firm.alice.delete_tag(repo, tag="v1")
    with pytest.raises(HfHubHTTPError):
        firm.alice.create_tag(repo, tag="a tag")


def test_history_is_paged_compared_and_squashed(firm: Company) -> None:
    repo = firm.repo()
    for number in range(60):
        firm.commit(repo, "main", firm.add("alice", "x", str(number).encode()), message=f"commit <{number}>\n\nmore")
    commits = firm.alice.list_repo_commits(repo.path, formatted=True)
    assert len(commits) == 61
    assert (commits[0].title, commits[0].message, commits[0].authors) == ("commit <59>", "more", ["alice"])
    assert commits[0].formatted_title == "commit &lt;59&gt;"
    assert commits[-1].title == "initial commit"
    with firm.server.client() as client:
        spec = f"{commits[1].commit_id}..{commits[0].commit_id}"
        headers = {"authorization": f"Bearer {firm.alice.token}"}
        diff = client.get(f"/api/models/{repo.path}/compare/{spec}?raw=true", headers=headers).text
        assert diff.startswith(":100644 100644 ")
        assert diff.endswith(" M\tx\n")
    firm.alice.create_tag(repo.path, tag="kept")
    before = firm.alice.list_repo_tree(repo.path)
    firm.alice.super_squash_history(repo.path, commit_message="all of it")
    [only] = firm.alice.list_repo_commits(repo.path)
    assert only.title == "all of it"
    assert [it.path for it in firm.alice.list_repo_tree(repo.path)] == [it.path for it in before]
    assert len(firm.alice.list_repo_commits(repo.path, revision="kept")) == 61
    with pytest.raises(RevisionNotFoundError):
        firm.alice.super_squash_history(repo.path, branch="nope")


def test_cards_are_checked_as_the_client_asks(firm: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    validate = firm.alice._validate_yaml  # what every upload of a README calls
    validate(CARD)
    with pytest.warns(UserWarning, match="empty or missing yaml metadata"):
        validate("# prose")
    for broken, words in (
        ("---\nmodel-index: foo\n---\n", '"model-index" must be an array'),
        ("---\nlicense: mine\n---\n", '"license" must be one of'),
        ("---\na: [\n---\n", "not valid YAML"),
        ("---\n- a\n---\n", "not a YAML mapping"),
        ("---\n" + "a: &a [x, x]\nb: [" + "*a, " * 100 + "]\n" + "c: {" * 300 + "\n---\n", "nested too often"),
    ):
        with pytest.raises(ValueError, match=words.replace("[", r"\[")):
            validate(broken)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", firm.server.url)
    card = ModelCard(CARD)
    card.validate()  # without a key
    card.data.license = "asdf"
    with pytest.raises(ValueError, match='- Error: "license" must be one of'):
        card.validate()


def test_a_duplicate_has_the_files_of_main_and_a_history_of_its_own(firm: Company) -> None:
    repo = firm.repo(files={"a/b.txt": b"1", "README.md": b"---\ntags: [copied]\n---\n"})
    hidden = firm.repo(private=True)
    closed = firm.repo(gated="manual")
    url = firm.bob.duplicate_repo(repo.path, "bob/copy", private=True)
    assert url.repo_id == "bob/copy"
    assert firm.bob.list_repo_files("bob/copy") == ["README.md", "a/b.txt"]
    assert firm.bob.model_info("bob/copy").tags == ["copied"]
    assert [it.title for it in firm.bob.list_repo_commits("bob/copy")] == [f"Duplicate of {repo.path}"]
    with pytest.raises(HfHubHTTPError) as twice:
        firm.bob.duplicate_repo(repo.path, "bob/copy")
    assert status_of(twice) == 409
    with pytest.raises(RepositoryNotFoundError):
        firm.bob.duplicate_repo(hidden.path, "bob/other")
    with pytest.raises(GatedRepoError):
        firm.bob.duplicate_repo(closed.path, "bob/other")
    firm.alice.delete_repo(repo.path)
    again = firm.platform.hub.entry("bob", RepoId("model", "bob", "copy"), "main", "a/b.txt")
    assert b"".join(firm.platform.blobs.read(again.digest)) == b"1"


def test_large_files_are_listed_and_removed_from_the_whole_history(firm: Company) -> None:
    repo = firm.repo(files={"small.txt": b"s"})
    one, two, side = (replace(firm.add("alice", f"d/{it}.bin", it.encode()), large=True) for it in ("1", "2", "side"))
    firm.commit(repo, "main", one, two)
    with_both = firm.alice.model_info(repo.path).sha
    firm.alice.create_branch(repo.path, branch="side")
    firm.commit(repo, "side", side)
    firm.commit(repo, "main", Delete("d/1.bin"))
    files = {it.filename: it for it in firm.alice.list_lfs_files(repo.path)}
    assert {name: it.ref for name, it in files.items()} == {
        "d/1.bin": "refs/heads/main",
        "d/2.bin": "refs/heads/main",
        "d/side.bin": "refs/heads/side",
    }
    firm.alice.permanently_delete_lfs_files(repo.path, [files["d/1.bin"], files["d/2.bin"]])
    assert [it.filename for it in firm.alice.list_lfs_files(repo.path)] == ["d/side.bin"]
    assert firm.alice.list_repo_files(repo.path) == ["small.txt"]
    assert firm.alice.list_repo_files(repo.path, revision="side") == ["d/side.bin", "small.txt"]
    assert not firm.alice.revision_exists(repo.path, with_both or "")
    assert len(firm.alice.list_repo_commits(repo.path)) == 3
    with pytest.raises(HfHubHTTPError) as foreign:
        list(firm.bob.list_lfs_files(repo.path))
    assert status_of(foreign) == 403


def test_large_files_are_given_to_another_repository(firm: Company) -> None:
    file = replace(firm.add("alice", "w.bin", b"given"), large=True)
    repo = firm.repo(files={"small.txt": b"s"})
    firm.commit(repo, "main", file)
    firm.bob.create_repo("taker", exist_ok=True)
    with httpx.Client(base_url=firm.server.url, trust_env=False) as client:
        headers = {"authorization": f"Bearer {firm.bob.token}"}
        body = {
            "target": {"type": "model", "name": "bob/taker"},
            "files": [{"sha256": file.digest}, {"sha256": "0" * 64}],
        }
        answer = client.post(f"/api/models/{repo.path}/lfs-files/duplicate", json=body, headers=headers).json()
        assert [it["sha256"] for it in answer["failed"]] == ["0" * 64]
    taker = RepoId("model", "bob", "taker")
    firm.platform.hub.commit("bob", taker, "main", "HEAD", [Add("mine", file.digest, file.size)], "m", "bob")


def test_a_user_sees_what_each_repository_takes(firm: Company) -> None:
    firm.alice.create_repo("alices-store/full")
    firm.alice.upload_file(path_or_fileobj=b"x" * 5_000, path_in_repo="a.bin", repo_id="alices-store/full")
    before = len(list(firm.alice.list_user_repos()))
    (found,) = firm.alice.list_user_repos(namespace="alices-store")
    assert (found.id, found.type, found.visibility) == ("alices-store/full", "model", "private")
    attributes = firm.alice.model_info("alices-store/full", files_metadata=True).siblings
    assert attributes is not None
    assert found.storage == 5_000 + sum(it.size or 0 for it in attributes if it.rfilename == ".gitattributes")
    assert before == len(firm.platform.hub.repositories("alice"))
    assert list(firm.bob.list_user_repos(namespace="alices-store")) == []
