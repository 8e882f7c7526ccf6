"""Q-learning with replay memory and a target network on a small pole, written as the tutorials do."""

import math
import random
from collections import deque, namedtuple
from itertools import count

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))


class Pole:
    def reset(self):
        self.state = [random.uniform(-0.05, 0.05) for _ in range(4)]
        return self.state

    def step(self, action):
        x, v, a, w = self.state
        force = 10.0 if action == 1 else -10.0
        t = (force + 0.05 * w**2 * math.sin(a)) / 1.1
        aa = (9.8 * math.sin(a) - math.cos(a) * t) / (0.5 * (4 / 3 - 0.1 * math.cos(a) ** 2 / 1.1))
        self.state = [x + 0.02 * v, v + 0.02 * (t - 0.05 * aa * math.cos(a) / 1.1), a + 0.02 * w, w + 0.02 * aa]
        return self.state, 1.0, abs(self.state[2]) > 0.2


class ReplayMemory(object):
    def __init__(self, capacity):
        self.memory = deque([], maxlen=capacity)

    def push(self, *args):
        self.memory.append(Transition(*args))

    def sample(self, batch_size):
        return random.sample(self.memory, batch_size)

    def __len__(self):
        return len(self.memory)


class DQN(nn.Module):
    def __init__(self, n_observations, n_actions):
        super(DQN, self).__init__()
        self.layer1 = nn.Linear(n_observations, 16)
        self.layer2 = nn.Linear(16, 16)
        self.layer3 = nn.Linear(16, n_actions)

    def forward(self, x):
        x = F.relu(self.layer1(x))
        x = F.relu(self.layer2(x))
        return self.layer3(x)


class Dueling(nn.Module):
    def __init__(self):
        super().__init__()
        self.feature = nn.Sequential(nn.Linear(4, 12), nn.LeakyReLU(0.1))
        self.value, self.advantage = nn.Linear(12, 1), nn.Linear(12, 2)

    def forward(self, x):
        x = self.feature(x)
        adv = self.advantage(x)
        return self.value(x) + adv - adv.mean(dim=-1, keepdim=True)


def train(Net, results):
    device = torch.device("cpu")
    policy_net, target_net = Net().to(device), Net().to(device)
    target_net.load_state_dict(policy_net.state_dict())
    optimizer = optim.AdamW(policy_net.parameters(), lr=1e-2, amsgrad=True)
    memory, env, steps = ReplayMemory(200), Pole(), 0

    def select_action(state):
        nonlocal steps
        eps_threshold = 0.05 + 0.85 * math.exp(-1.0 * steps / 30)
        steps += 1
        if random.random() > eps_threshold:
            with torch.no_grad():
                return policy_net(state).max(1).indices.view(1, 1)
        return torch.tensor([[random.randrange(2)]], device=device, dtype=torch.long)

    def optimize_model():
        if len(memory) < 8:
            return
        batch = Transition(*zip(*memory.sample(8)))
        mask = torch.tensor(tuple(map(lambda s: s is not None, batch.next_state)), device=device, dtype=torch.bool)
        non_final = torch.cat([s for s in batch.next_state if s is not None])
        state_batch, action_batch, reward_batch = torch.cat(batch.state), torch.cat(batch.action), torch.cat(batch.reward)
        values = policy_net(state_batch).gather(1, action_batch)
        next_values = torch.zeros(8, device=device)
        with torch.no_grad():
            next_values[mask] = target_net(non_final).max(1)[0]
        loss = nn.SmoothL1Loss()(values, ((next_values * 0.99) + reward_batch).unsqueeze(1))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
        for param in policy_net.parameters():
            param.grad.data.clamp_(-1, 1)
        optimizer.step()
        results.append(loss.item())

    for _ in range(3):
        state = torch.tensor(env.reset(), dtype=torch.get_default_dtype(), device=device).unsqueeze(0)
        for t in count():
            action = select_action(state)
            observation, reward, terminated = env.step(action.item())
            reward = torch.tensor([reward], device=device)
            next_state = None if terminated else torch.tensor(observation).unsqueeze(0)
            memory.push(state, action, next_state, reward)
            state = next_state
            optimize_model()
            target, policy = target_net.state_dict(), policy_net.state_dict()
            for key in policy:
                target[key] = policy[key] * 0.05 + target[key] * 0.95
            target_net.load_state_dict(target)
            if terminated or t > 20:
                results.append(t)
                break
    results.append(sum(p.abs().sum().item() for p in target_net.parameters()))


def main():
    torch.manual_seed(1)
    random.seed(1)
    torch.set_default_dtype(torch.float64)
    results = []
    train(lambda: DQN(4, 2), results)
    train(Dueling, results)
    return [float(r) for r in results]
