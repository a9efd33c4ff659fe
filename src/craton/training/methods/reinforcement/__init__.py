"""Reinforcement learning: a policy from rewards, by stable-baselines3 (Raffin et al., JMLR 22, 2021)."""
