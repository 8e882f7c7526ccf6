"""A GAN, and a critic with a gradient penalty: two optimizers, detach, double back propagation."""

import torch
import torch.nn as nn
import torch.autograd as autograd


def weights_init(m):
    if type(m) is nn.Linear:
        m.weight.data.normal_(0.0, 0.2)
        m.bias.data.fill_(0)


def main():
    torch.manual_seed(5)
    torch.set_default_dtype(torch.float64)
    G = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.2, inplace=True), nn.Linear(8, 3), nn.Tanh())
    D = nn.Sequential(nn.Linear(3, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1), nn.Sigmoid())
    G.apply(weights_init)
    D.apply(weights_init)
    criterion = nn.BCELoss()
    optD = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.5, 0.999))
    optG = torch.optim.Adam(G.parameters(), lr=2e-3, betas=(0.5, 0.999))
    results = []
    for step in range(4):
        real = torch.randn(6, 3) * 0.5 + 1
        D.zero_grad()
        label = torch.full((6,), 1.0)
        out = D(real).view(-1)
        errD_real = criterion(out, label)
        errD_real.backward()
        fake = G(torch.randn(6, 2))
        label.fill_(0.0)
        out = D(fake.detach()).view(-1)
        errD_fake = criterion(out, label)
        errD_fake.backward()
        optD.step()
        G.zero_grad()
        label.fill_(1.0)
        errG = criterion(D(fake).view(-1), label)
        errG.backward()
        optG.step()
        results += [errD_real.item(), errD_fake.item(), errG.item()]
    critic = nn.Sequential(nn.Linear(3, 8), nn.Softplus(), nn.Linear(8, 1))
    optC = torch.optim.RMSprop(critic.parameters(), lr=1e-2)
    for step in range(4):
        for p in critic.parameters():
            p.requires_grad = True
        real, fake = torch.randn(6, 3), G(torch.randn(6, 2)).detach()
        alpha = torch.rand(6, 1)
        mixed = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
        score = critic(mixed)
        gradients = autograd.grad(outputs=score, inputs=mixed, grad_outputs=torch.ones_like(score), create_graph=True, retain_graph=True)[0]
        penalty = ((gradients.norm(2, dim=1) - 1) ** 2).mean()
        optC.zero_grad()
        loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
        loss.backward()
        optC.step()
        for p in critic.parameters():
            p.requires_grad = False
        optG.zero_grad()
        g_loss = -critic(G(torch.randn(6, 2))).mean()
        g_loss.backward()
        optG.step()
        results += [penalty.item(), loss.item(), g_loss.item()]
    return results
