"""The published double-peak recipe (arXiv 2308.11809) restated in JAX, many seeds side by side: how far its results scatter by themselves.

usage: double_peak_jax.py [SEEDS] [FIRST_SEED]        needs jax and numpy from PyPI; 15 seeds take about 7 minutes of one core

N = 1000 relu units, 10 noise levels 50^(-i/10), 100 epochs each of 10000 fresh draws in batches of 32, AMSGrad (rate 1e-4, L2 decay 1e-3) begun
anew at each level. Prints for each seed E|s - s*|^2 and KL(stationary law || law smoothed by the last level), by quadrature on [-6, 6].
"""
import sys

import jax
import jax.numpy as jnp
import numpy as np

N, BATCH, DRAWS, EPOCHS_A_LEVEL = 1000, 32, 10000, 100
RATE, DECAY, BETA_1, BETA_2, EPSILON = 1e-4, 1e-3, 0.9, 0.999, 1e-8
LEVELS = [50.0 ** (-i / 10) for i in range(10)]


def initial(key):
    w, b, c = jax.random.split(key, 3)
    bound = N**-0.5
    return {
        "w": jax.random.uniform(w, (N,), minval=-1.0, maxval=1.0),
        "b": jax.random.uniform(b, (N,), minval=-1.0, maxval=1.0),
        "c": jax.random.uniform(c, (N,), minval=-bound, maxval=bound),
    }


def loss(p, y, xi, sigma, there):
    s = -y + jax.nn.relu(y[:, None] * p["w"] + p["b"]) @ p["c"]
    return (0.5 * there * (s + xi / sigma) ** 2).sum() / there.sum()


def step(state, batch, sigma):
    p, m, v, largest, t = state
    y, xi, there = batch
    t = t + 1.0
    g = jax.vmap(jax.grad(loss), in_axes=(0, 0, 0, None, None))(p, y, xi, sigma, there)
    g = jax.tree.map(lambda g, p: g + DECAY * p, g, p)
    m = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, m, g)
    v = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, v, g)
    largest = jax.tree.map(jnp.maximum, largest, v)
    root = jnp.sqrt(1 - BETA_2**t)
    p = jax.tree.map(
        lambda p, m, v: p - RATE / (1 - BETA_1**t) * m / (jnp.sqrt(v) / root + EPSILON), p, m, largest)
    return (p, m, v, largest, t), None


@jax.jit
def epoch(state, key, sigma):
    n_seeds, n_batches = state[0]["w"].shape[0], -(-DRAWS // BATCH)
    shape = (n_batches, n_seeds, BATCH)
    peak, noise, xi = jax.random.split(key, 3)
    x = jnp.where(jax.random.bernoulli(peak, 0.5, shape), 1.0, -1.0) + 0.5 * jax.random.normal(noise, shape)
    xi = jax.random.normal(xi, shape)
    there = jnp.ones((n_batches, BATCH)).at[-1, DRAWS % BATCH or BATCH:].set(0.0)  # the last batch is smaller
    return jax.lax.scan(lambda s, b: step(s, b, sigma), state, (x + sigma * xi, xi, there))[0]


def judge(w, b, c):
    x, dx = np.linspace(-6, 6, 24001, retstep=True)
    v = 0.25 + LEVELS[-1] ** 2
    left, right = np.exp(-((x + 1) ** 2) / (2 * v)), np.exp(-((x - 1) ** 2) / (2 * v))
    p = (left + right) / 2 / np.sqrt(2 * np.pi * v)
    truth = (-(x + 1) * left - (x - 1) * right) / v / (left + right)
    s = -x + np.maximum(x[:, None] * w + b, 0) @ c
    log_q = np.concatenate([[0], np.cumsum((s[1:] + s[:-1]) / 2 * dx)])
    q = np.exp(log_q - log_q.max())
    q /= q.sum() * dx
    seen = q > 1e-300
    return (p * (s - truth) ** 2).sum() * dx, (q[seen] * np.log(q[seen] / p[seen])).sum() * dx


def main():
    n_seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    p = jax.vmap(initial)(jax.random.split(jax.random.PRNGKey(first), n_seeds))
    key = jax.random.PRNGKey(first + 1000)
    zeros = jax.tree.map(jnp.zeros_like, p)
    for sigma in LEVELS:
        state = (p, zeros, zeros, zeros, jnp.float32(0))
        for _ in range(EPOCHS_A_LEVEL):
            key, now = jax.random.split(key)
            state = epoch(state, now, sigma)
        p = state[0]
    figures = np.array([judge(*(np.asarray(p[k][i], np.float64) for k in "wbc")) for i in range(n_seeds)])
    for name, column in zip(("score error", "KL"), figures.T):
        print(f"{name}: median {np.median(column):.4f}, {column.min():.4f} to {column.max():.4f}; " +
              " ".join(f"{value:.4f}" for value in np.sort(column)))


if __name__ == "__main__":
    main()
