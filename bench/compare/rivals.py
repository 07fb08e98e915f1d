"""A Langevin step and a training step of a reservoir-sampler network in PyTorch and JAX, written as a careful user would: compiled, nothing but
the state in memory where the compiler can manage it. One JSON line a measurement, medians of repeated runs.

usage: rivals.py step|train|hee D:N:B ...
"hee" is a training batch of a hierarchical model: N smoothed-Laplace units above D Gaussian ones, 100 steps of inference on B data of which the
second half is summed for the local rule.
"""
import json
import math
import os
import sys
import time

DT = 1e-4
NOISE = math.sqrt(2 * DT)
THREADS = min(2, os.cpu_count() or 1)


def median_seconds(f, budget=3.0, most=15):
    f()
    f()
    times = []
    while len(times) < 3 or (sum(times) < budget and len(times) < most):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def median_processor_seconds(f, runs=7):
    """Of all threads together; other work on the machine disturbs it less than the clock on the wall."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        f()
        times.append(time.process_time() - start)
    return sorted(times)[runs // 2]


def report(what, peer, sizes, seconds, work, processor_seconds=None):
    line = {"what": what, "peer": peer, "D": sizes[0], "N": sizes[1], "B": sizes[2], "seconds": seconds, "rate": work / seconds}
    if processor_seconds is not None:
        line["processor_rate"] = work / processor_seconds
    print(json.dumps(line), flush=True)


def torch_steps(sizes):
    import torch

    torch.set_num_threads(THREADS)
    D, N, B = sizes
    name = f"torch-{torch.__version__.split('+')[0]}"
    W_in, b, W_out = torch.randn(N, D) * 0.1, torch.randn(N) * 0.1, torch.randn(D, N) / N
    x = torch.randn(B, D)

    def products(y):
        drift = torch.relu(torch.addmm(b, y, W_in.T)) @ W_out.T - y
        return y + DT * drift + NOISE * torch.randn_like(y)

    def broadcast_ten(y):  # the hidden layer as a broadcast that the compiler keeps out of memory
        for _ in range(10):
            hidden = torch.relu(b + sum(y[:, d : d + 1] * W_in[:, d] for d in range(D)))
            drift = torch.stack([(hidden * W_out[d]).sum(1) for d in range(D)], 1) - y
            y = y + DT * drift + NOISE * torch.randn_like(y)
        return y

    forms = [("products", products, 1)] + ([("fused", broadcast_ten, 10)] if D <= 4 else [])
    with torch.no_grad():
        for label, form, steps in forms:
            compiled = torch.compile(form, fullgraph=True)
            report("step", f"{name}-{label}", sizes, median_seconds(lambda: compiled(x)), B * steps)


def jax_steps(sizes):
    import jax
    import jax.numpy as jnp

    D, N, B = sizes
    key = jax.random.PRNGKey(0)
    W_in, b, W_out = jax.random.normal(key, (N, D)) * 0.1, jnp.zeros(N), jax.random.normal(key, (D, N)) / N
    steps = max(1, min(200, int(2e9 / (2 * N * D * B))))

    def program(fused):
        def step(carry, _):
            x, k = carry
            k, s = jax.random.split(k)
            if fused:
                hidden = jax.nn.relu(b + sum(x[:, d : d + 1] * W_in[:, d] for d in range(D)))
                y = jnp.stack([(hidden * W_out[d]).sum(1) for d in range(D)], 1)
            else:
                y = jax.nn.relu(x @ W_in.T + b) @ W_out.T
            return (x + DT * (y - x) + NOISE * jax.random.normal(s, x.shape), k), None

        return jax.jit(lambda x, k: jax.lax.scan(step, (x, k), None, length=steps)[0])

    x = jax.random.normal(key, (B, D))
    for fused in [False, True] if D <= 4 else [False]:
        f = program(fused)
        seconds = median_seconds(lambda: jax.block_until_ready(f(x, key)))
        report("step", f"jax-{jax.__version__}-{'fused' if fused else 'products'}", sizes, seconds, B * steps)


def torch_training(sizes):
    import torch

    torch.set_num_threads(THREADS)
    D, N, B = sizes
    name = f"torch-{torch.__version__.split('+')[0]}"
    data = torch.randn(B, D)
    p = [torch.nn.Parameter(t) for t in (torch.randn(N, D) * 0.1, torch.randn(N) * 0.1, torch.randn(D, N) / N)]
    optimizer = torch.optim.Adam(p, lr=5e-4, weight_decay=1e-4, fused=True)

    def loss():
        xi = torch.randn_like(data)
        y = data + 0.1 * xi
        return 0.5 * ((torch.relu(torch.addmm(p[1], y, p[0].T)) @ p[2].T - y + xi / 0.1) ** 2).sum(-1).mean()

    compiled = torch.compile(loss)

    def step():
        optimizer.zero_grad()
        compiled().backward()
        optimizer.step()

    report("train", f"{name}-compiled", sizes, median_seconds(step), 1)


def jax_training(sizes):
    import jax
    import jax.numpy as jnp

    D, N, B = sizes
    key = jax.random.PRNGKey(0)
    data = jax.random.normal(key, (4096, D))
    params = (jax.random.normal(key, (N, D)) * 0.1, jnp.zeros(N), jax.random.normal(key, (D, N)) / N)
    zeros = jax.tree.map(jnp.zeros_like, params)
    steps = 200 if N * D < 1e5 else 20 if N * D < 1e6 else 5

    def loss(p, y, target):
        return 0.5 * ((jax.nn.relu(y @ p[0].T + p[1]) @ p[2].T - y - target) ** 2).sum(-1).mean()

    def step(carry, i):
        p, m, v, k = carry
        k, a, s = jax.random.split(k, 3)
        xi = jax.random.normal(a, (B, D))
        y = data[jax.random.randint(s, (B,), 0, 4096)] + 0.1 * xi
        value, g = jax.value_and_grad(loss)(p, y, -xi / 0.1)
        g = jax.tree.map(lambda g, p: g + 1e-4 * p, g, p)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        c1, c2 = 1 - 0.9 ** (i + 1), 1 - 0.999 ** (i + 1)
        p = jax.tree.map(lambda p, m, v: p - 5e-4 * (m / c1) / (jnp.sqrt(v / c2) + 1e-8), p, m, v)
        return (p, m, v, k), value

    run = jax.jit(lambda c: jax.lax.scan(step, c, jnp.arange(steps, dtype=jnp.float32)))
    start = (params, zeros, zeros, key)
    report("train", f"jax-{jax.__version__}", sizes, median_seconds(lambda: jax.block_until_ready(run(start))) / steps, 1)


def jax_hee(sizes):
    import jax
    import jax.numpy as jnp

    D, N, B = sizes
    steps, dt, precision, rate, width = 100, 0.006, 1 / 0.3**2, 4.0, 0.1
    key = jax.random.PRNGKey(0)
    data = jax.random.normal(key, (B, D))

    def move(W, x, k, i):
        error = precision * (data - x @ W.T)
        drift = error @ W - rate * x / jnp.sqrt(x * x + width**2)
        return error, x + dt * drift + math.sqrt(2 * dt) * jax.random.normal(jax.random.fold_in(k, i), x.shape)

    @jax.jit
    def batch(W, k):
        def relax(x, i):
            return move(W, x, k, i)[1], None

        def collect(carry, i):
            x, total = carry
            error, y = move(W, x, k, i)
            return (y, total + error.T @ x), None

        x, _ = jax.lax.scan(relax, jnp.zeros((B, N)), jnp.arange(steps // 2))
        (x, total), _ = jax.lax.scan(collect, (x, jnp.zeros((D, N))), jnp.arange(steps // 2, steps))
        W = W + 0.01 * total / (steps // 2 * B * precision * (x.var() + 1e-6))
        return W / jnp.linalg.norm(W, axis=0)

    W = batch(jax.random.normal(key, (D, N)), key)
    run = lambda: jax.block_until_ready(batch(W, key))  # noqa: E731
    report("hee", f"jax-{jax.__version__}", sizes, median_seconds(run), B * steps, median_processor_seconds(run))


def main():
    programs = {"step": (torch_steps, jax_steps), "train": (torch_training, jax_training), "hee": (jax_hee,)}[sys.argv[1]]
    for text in sys.argv[2:]:
        sizes = tuple(int(v) for v in text.split(":"))
        for program in programs:
            try:
                program(sizes)
            except ImportError as missing:
                print(json.dumps({"peer": program.__name__.split("_")[0], "error": f"not installed: {missing.name}"}), flush=True)


if __name__ == "__main__":
    main()
