"""Policy gradients: REINFORCE and actor-critic with Categorical, PPO with a clipped ratio, a squashed Gaussian (SAC), GAE."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.distributions import Categorical, Normal

GAMMA, eps = 0.99, np.finfo(np.float32).eps.item()


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(4, 12)
        self.action_head = nn.Linear(12, 3)
        self.value_head = nn.Linear(12, 1)
        self.saved_actions = []
        self.rewards = []

    def forward(self, x):
        x = F.relu(self.affine1(x))
        return F.softmax(self.action_head(x), dim=-1), self.value_head(x)


def select_action(model, state):
    state = torch.from_numpy(state).to(torch.get_default_dtype())
    probs, value = model(state)
    m = Categorical(probs)
    action = m.sample()
    model.saved_actions.append((m.log_prob(action), value, m.entropy()))
    return action.item()


def finish_episode(model, optimizer):
    R, returns, policy_losses, value_losses = 0, [], [], []
    for r in model.rewards[::-1]:
        R = r + GAMMA * R
        returns.insert(0, R)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + eps)
    for (log_prob, value, _), R in zip(model.saved_actions, returns):
        advantage = R - value.item()
        policy_losses.append(-log_prob * advantage)
        value_losses.append(F.smooth_l1_loss(value, torch.tensor([R])))
    optimizer.zero_grad()
    loss = torch.stack(policy_losses).sum() + torch.stack(value_losses).sum() - 0.01 * sum(e for *_, e in model.saved_actions)
    loss.backward()
    optimizer.step()
    del model.rewards[:]
    del model.saved_actions[:]
    return loss.item()


def gae(rewards, values, lam=0.95):
    advantages, last = torch.zeros_like(rewards), 0
    for t in reversed(range(len(rewards))):
        delta = rewards[t] + GAMMA * values[t + 1] - values[t]
        advantages[t] = last = delta + GAMMA * lam * last
    return advantages


class Actor(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
        self.mu = nn.Linear(8, 2)
        self.log_std = nn.Parameter(torch.zeros(1, 2) - 0.5)
        self.apply(self._init_weights)

    @staticmethod
    def _init_weights(m):
        if isinstance(m, nn.Linear):
            nn.init.orthogonal_(m.weight, gain=nn.init.calculate_gain("tanh"))
            nn.init.constant_(m.bias, 0)

    def dist(self, x):
        return Normal(self.mu(self.body(x)), self.log_std.expand(x.size(0), -1).clamp(-5, 2).exp())

    def sample(self, x):
        d = self.dist(x)
        u = d.rsample()
        a = torch.tanh(u)
        return a, (d.log_prob(u) - torch.log(1 - a.pow(2) + 1e-6)).sum(-1, keepdim=True)


def main():
    torch.manual_seed(3)
    torch.set_default_dtype(torch.float64)
    rng = np.random.default_rng(0)
    results = []
    model = Policy()
    optimizer = optim.Adam(model.parameters(), lr=3e-2)
    for _ in range(3):
        state = rng.normal(size=4)
        for _ in range(6):
            action = select_action(model, state)
            results.append(action)
            state = 0.9 * state + 0.1 * rng.normal(size=4) + 0.1 * (action - 1)
            model.rewards.append(float(-np.abs(state).sum()))
        results.append(finish_episode(model, optimizer))

    actor, critic = Actor(), nn.Sequential(nn.Linear(4, 8), nn.ELU(), nn.Linear(8, 1), nn.Flatten(0))
    optimizer = optim.Adam([{"params": actor.parameters()}, {"params": critic.parameters(), "lr": 1e-2}], lr=3e-3, eps=1e-5)
    obs, rewards = torch.randn(16, 4), torch.randn(16)
    with torch.no_grad():
        old = actor.dist(obs)
        actions = old.sample()
        old_logp = old.log_prob(actions).sum(-1)
        values = critic(torch.cat([obs, obs[-1:]]))
        adv = gae(rewards, values)
        returns = adv + values[:-1]
        adv = (adv - adv.mean()) / (adv.std(unbiased=False) + 1e-8)
    for epoch in range(2):
        for idx in torch.randperm(16).split(8):
            d = actor.dist(obs[idx])
            logp = d.log_prob(actions[idx]).sum(-1)
            ratio = (logp - old_logp[idx]).exp()
            surr = torch.min(ratio * adv[idx], ratio.clamp(0.8, 1.2) * adv[idx])
            value_loss = 0.5 * (critic(obs[idx]) - returns[idx]).pow(2).mean()
            loss = -surr.mean() + value_loss - 0.01 * d.entropy().sum(-1).mean()
            optimizer.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_([*actor.parameters(), *critic.parameters()], 0.5)
            optimizer.step()
            results += [loss.item(), norm.item(), ((ratio - 1).abs() > 0.2).double().mean().item()]
    alpha = torch.zeros(1, requires_grad=True)
    a, logp = actor.sample(obs)
    loss = (alpha.exp().detach() * logp - critic(torch.cat([a, a], 1)).unsqueeze(1)).mean() - (alpha * (logp + 2).detach()).mean()
    loss.backward()
    return [float(r) for r in results + [loss.item(), alpha.grad.item(), actor.log_std.grad.sum().item()]]
