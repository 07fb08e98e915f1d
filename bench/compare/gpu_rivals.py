"""What PyTorch and JAX make of a reservoir-sampler network's steps on a GPU, in the forms that a careful user would try. One JSON line a measurement.

step   reference  the dense recurrent product as published (arXiv 2308.11809): r <- r + dt (phi(W r + b) - r) + noise P^T, float32 alone
       factored   output mode: x <- x + dt (W_out phi(W_in x + b) - x) + noise
       fused      the same as a broadcast over neurons, which a compiler can keep out of memory; D <= 4
train  a step of denoising score matching with Adam and L2 decay: noise, loss, gradients, optimiser

PyTorch runs them as they are (eager), compiled (torch.compile; max-autotune on a GPU), and captured by hand as a CUDA graph, ten steps of sampling or one whole
step of training a graph, with compiled pieces and without. JAX runs lax.scan. A call is timed many times over between two waits for the device.

usage: gpu_rivals.py [--precision fp32|tf32|bf16] [--train] [--only torch|jax] [--seconds 2] [--gpu] [--check] D:N:B ...
--check compares the forms with one another instead: without noise they must make the same step.
Without a GPU everything runs on the CPU but the graphs, which a line says. PyTorch and JAX come from PyPI; a missing one is named and left out.
"""
import argparse
import json
import math
import os
import sys
import time

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
DT = 1e-4
SCALE = math.sqrt(2 * DT)
RATE, DECAY, SIGMA = 5e-4, 1e-4, 0.1
STEPS_A_GRAPH = 10
ROUNDING = 1e-2  # of a step, which is 1e-4 of the state, where float32 rounds 6e-8
MOST_REFERENCE = 4e13  # operations of a dense step; beyond, it is left out


def line(**fields):
    print(json.dumps(fields), flush=True)


def median_seconds(call, wait, budget):
    """Median of a call's seconds; so many calls between two waits that they take about 20 ms."""

    def seconds(times):
        start = time.perf_counter()
        for _ in range(times):
            call()
        wait()
        return (time.perf_counter() - start) / times

    seconds(2)  # compiles
    times = max(1, min(1000, int(0.02 / max(seconds(2), 1e-7))))
    measured, began = [], time.perf_counter()
    while len(measured) < 3 or (time.perf_counter() - began < budget and len(measured) < 15):
        measured.append(seconds(times))
    return sorted(measured)[len(measured) // 2]


class Report:
    """Measures forms of one case, and goes on where one of them fails."""

    def __init__(self, what, name, sizes, options, wait):
        self.what, self.name, self.sizes, self.options, self.wait = what, name, sizes, options, wait

    def measure(self, form, make, work):
        """`make()` returns the call, which does `work` chain-steps or training steps."""
        D, N, B = self.sizes
        head = {"what": self.what, "peer": f"{self.name}-{form}", "D": D, "N": N, "B": B, "precision": self.options.precision}
        try:
            seconds = median_seconds(make(), self.wait, self.options.seconds)
            line(**head, seconds=seconds, rate=work / seconds)
        except Exception as error:  # pylint: disable=broad-except
            line(**head, error=str(error)[:300])

    def skip(self, form, why):
        D, N, B = self.sizes
        line(what=self.what, peer=f"{self.name}-{form}", D=D, N=N, B=B, precision=self.options.precision, skipped=why)


def reference_fits(sizes, options):
    D, N, B = sizes
    return options.precision == "fp32" and 2.0 * N * (N + D) * B < MOST_REFERENCE


# PyTorch


def torch_graph(torch, body):
    """`body` captured once, after a few calls beside the default stream that allocate and choose algorithms."""
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(3):
            body()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        body()
    return graph.replay


class TorchNet:
    """The weights and the forms of a step, which take `scale` of noise."""

    def __init__(self, torch, device, sizes, precision):
        D, N, _ = sizes
        self.torch, self.D = torch, D
        make = {"device": device}
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.W_in, self.b, self.W_out = torch.randn(N, D, **make) * 0.1, torch.randn(N, **make) * 0.1, torch.randn(D, N, **make) / N
        self.low = [t.to(self.dtype) for t in (self.W_in, self.b, self.W_out)]
        self.W_rec = self.P = None

    def prepare_reference(self):
        self.W_rec, self.P = self.W_in @ self.W_out, self.torch.linalg.pinv(self.W_out)

    def reference(self, r, scale=SCALE):
        torch = self.torch
        noise = torch.randn(r.shape[0], self.D, device=r.device)
        return r + DT * (torch.relu(torch.addmm(self.b, r, self.W_rec.T)) - r) + scale * noise @ self.P.T

    def factored(self, x, scale=SCALE):
        torch = self.torch
        W_in, b, W_out = self.low
        drift = (torch.relu(torch.addmm(b, x.to(self.dtype), W_in.T)) @ W_out.T).float() - x
        return x + DT * drift + scale * torch.randn_like(x)

    def fused(self, x, scale=SCALE):
        torch = self.torch
        hidden = torch.relu(self.b + sum(x[:, d : d + 1] * self.W_in[:, d] for d in range(self.D)))
        drift = torch.stack([(hidden * self.W_out[d]).sum(1) for d in range(self.D)], 1) - x
        return x + DT * drift + scale * torch.randn_like(x)

    def fused_ten(self, x):
        for _ in range(STEPS_A_GRAPH):
            x = self.fused(x)
        return x


def torch_steps(torch, device, sizes, options, report):
    D, N, B = sizes
    on_gpu = device == "cuda"
    net = TorchNet(torch, device, sizes, options.precision)

    def compiled(f, captured_by_hand=False):
        mode = "max-autotune-no-cudagraphs" if captured_by_hand else "max-autotune"
        return torch.compile(f, fullgraph=True, mode=mode if on_gpu else None)

    def graph_of(step, state):
        def body():
            y = state
            for _ in range(STEPS_A_GRAPH):
                y = step(y)
            state.copy_(y)

        return torch_graph(torch, body)

    def captured(form, make_step, state):
        if on_gpu:
            report.measure(form, lambda: graph_of(make_step(), state), B * STEPS_A_GRAPH)
        else:
            report.skip(form, "CUDA graphs need a GPU")

    with torch.no_grad():
        x = torch.randn(B, D, device=device)
        if reference_fits(sizes, options):
            net.prepare_reference()
            r = torch.randn(B, N, device=device)
            report.measure("reference", lambda: lambda: net.reference(r), B)
            captured("reference-graph", lambda: net.reference, r)
        report.measure("eager", lambda: lambda: net.factored(x), B)
        captured("graph", lambda: net.factored, x)

        def compiled_call():
            f = compiled(net.factored)
            return lambda: f(x)

        report.measure("compile", compiled_call, B)
        captured("compile-graph", lambda: compiled(net.factored, True), x)
        if D <= 4 and options.precision != "bf16":

            def fused_call():
                f = compiled(net.fused_ten)
                return lambda: f(x)

            report.measure("compile-fused", fused_call, B * STEPS_A_GRAPH)
            if on_gpu:

                def fused_graph():
                    f = compiled(net.fused_ten, True)
                    return torch_graph(torch, lambda: x.copy_(f(x)))

                report.measure("compile-fused-graph", fused_graph, B * STEPS_A_GRAPH)
            else:
                report.skip("compile-fused-graph", "CUDA graphs need a GPU")


def torch_loss(torch, device, parameters, data, precision):
    """Returns the function that draws noise and computes the loss of a batch."""

    def loss():
        xi = torch.randn_like(data)
        y = data + SIGMA * xi
        with torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16"):
            s = torch.relu(torch.addmm(parameters[1], y, parameters[0].T)) @ parameters[2].T
        return 0.5 * ((s.float() - y + xi / SIGMA) ** 2).sum(-1).mean()

    return loss


def torch_training(torch, device, sizes, options, report):
    D, N, B = sizes
    on_gpu = device == "cuda"
    data = torch.randn(B, D, device=device)

    def make(compiles, captures):
        p = [torch.nn.Parameter(t) for t in (torch.randn(N, D, device=device) * 0.1, torch.randn(N, device=device) * 0.1, torch.randn(D, N, device=device) / N)]
        optimizer = torch.optim.Adam(p, lr=RATE, weight_decay=DECAY, fused=True, capturable=captures)
        loss = torch_loss(torch, device, p, data, options.precision)
        if compiles:
            loss = torch.compile(loss, mode="reduce-overhead" if on_gpu and not captures else None)

        def step():
            optimizer.zero_grad(set_to_none=True)
            loss().backward()
            optimizer.step()

        return torch_graph(torch, step) if captures else step

    report.measure("eager", lambda: make(False, False), 1)
    report.measure("compile", lambda: make(True, False), 1)
    for form, compiles in (("graph", False), ("compile-graph", True)):
        if on_gpu:
            report.measure(form, lambda compiles=compiles: make(compiles, True), 1)
        else:
            report.skip(form, "CUDA graphs need a GPU")


def with_torch(options):
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if options.gpu and device == "cpu":
        line(peer="torch", skipped="it finds no GPU")
        return True
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    torch.set_float32_matmul_precision("high" if options.precision == "tf32" else "highest")
    if options.check:
        return check_torch(torch, device)
    name = f"torch-{torch.__version__.split('+')[0]}-{device}"
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for sizes in options.cases:
        report = Report("train" if options.train else "step", name, sizes, options, wait)
        (torch_training if options.train else torch_steps)(torch, device, sizes, options, report)
        torch.compiler.reset()
    return True


def check_torch(torch, device):
    """Without noise all forms make the same step: x = W_out r stays so from the dense step to the factored one."""
    torch.manual_seed(1)
    agree = True
    for D in (1, 3):
        net = TorchNet(torch, device, (D, 40, 900), "fp32")
        net.prepare_reference()
        r = torch.randn(900, 40, device=device)
        x = r @ net.W_out.T
        # the neurons' input is W_rec r + b = W_in x + b
        steps = {"reference": net.reference(r, 0.0) @ net.W_out.T, "factored": net.factored(x, 0.0), "fused": net.fused(x, 0.0),
                 "compile": torch.compile(net.factored)(x, 0.0)}
        for form, y in steps.items():
            distance = ((y - steps["factored"]).abs().max() / (steps["factored"] - x).abs().max()).item()
            agree = agree and distance < ROUNDING
            line(check="torch", form=form, D=D, distance=distance)
        draw = net.reference(r) - net.reference(r, 0.0)
        ratio = ((draw @ net.W_out.T).std() / SCALE).item()  # noise of the outputs, through P
        line(check="torch", form="noise of the reference", D=D, ratio=ratio)
        agree = agree and 0.9 < ratio < 1.1
    return agree


# JAX


def jax_net(jax, jnp, sizes, precision):
    D, N, _ = sizes
    keys = jax.random.split(jax.random.PRNGKey(0), 3)
    low = jnp.bfloat16 if precision == "bf16" else jnp.float32
    W_in, b = jax.random.normal(keys[0], (N, D)) * 0.1, jax.random.normal(keys[1], (N,)) * 0.1
    return W_in, b, jax.random.normal(keys[2], (D, N)) / N, low


def jax_forms(jax, jnp, net):
    """The forms of a step: functions of the state and a key."""
    W_in, b, W_out, low = net
    D = W_in.shape[1]

    def factored(x, key, scale=SCALE):
        hidden = jax.nn.relu(x.astype(low) @ W_in.T.astype(low) + b.astype(low))
        drift = (hidden @ W_out.T.astype(low)).astype(jnp.float32) - x
        return x + DT * drift + scale * jax.random.normal(key, x.shape)

    def fused(x, key, scale=SCALE):
        hidden = jax.nn.relu(b + sum(x[:, d : d + 1] * W_in[:, d] for d in range(D)))
        drift = jnp.stack([(hidden * W_out[d]).sum(1) for d in range(D)], 1) - x
        return x + DT * drift + scale * jax.random.normal(key, x.shape)

    def reference_of(W_rec, P):
        def reference(r, key, scale=SCALE):
            noise = jax.random.normal(key, (r.shape[0], D))
            return r + DT * (jax.nn.relu(r @ W_rec.T + b) - r) + scale * noise @ P.T

        return reference

    return factored, fused, reference_of


def jax_steps(jax, jnp, sizes, options, report):
    D, N, B = sizes
    net = jax_net(jax, jnp, sizes, options.precision)
    factored, fused, reference_of = jax_forms(jax, jnp, net)
    key = jax.random.PRNGKey(1)
    power = 1e14 if jax.default_backend() == "gpu" else 2e9  # operations of a call, about

    def measure(form, step, width, operations):
        steps = max(1, min(200, int(power / operations)))

        def make():
            def scanned(x, k):
                def one(carry, _):
                    y, k = carry
                    k, s = jax.random.split(k)
                    return (step(y, s), k), None

                return jax.lax.scan(one, (x, k), None, length=steps)[0]

            program, state = jax.jit(scanned), jax.random.normal(key, (B, width))
            return lambda: jax.block_until_ready(program(state, key))

        report.measure(form, make, B * steps)

    if reference_fits(sizes, options):
        W_in, _, W_out, _ = net
        measure("scan-reference", reference_of(W_in @ W_out, jnp.linalg.pinv(W_out)), N, 2.0 * N * (N + D) * B)
    measure("scan", factored, D, 4.0 * N * D * B)
    if D <= 4 and options.precision != "bf16":
        measure("scan-fused", fused, D, 4.0 * N * D * B)


def jax_training(jax, jnp, sizes, options, report):
    D, N, B = sizes
    W_in, b, W_out, low = jax_net(jax, jnp, sizes, options.precision)
    data = jax.random.normal(jax.random.PRNGKey(2), (4096, D))
    steps = 200 if N * D < 1e5 or jax.default_backend() == "gpu" else 20 if N * D < 1e6 else 5

    def loss(p, y, target):
        hidden = jax.nn.relu(y.astype(low) @ p[0].T.astype(low) + p[1].astype(low))
        s = (hidden @ p[2].T.astype(low)).astype(jnp.float32)
        return 0.5 * ((s - y - target) ** 2).sum(-1).mean()

    def step(carry, i):
        p, m, v, k = carry
        k, a, s = jax.random.split(k, 3)
        xi = jax.random.normal(a, (B, D))
        y = data[jax.random.randint(s, (B,), 0, 4096)] + SIGMA * xi
        value, g = jax.value_and_grad(loss)(p, y, -xi / SIGMA)
        g = jax.tree.map(lambda g, p: g + DECAY * p, g, p)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        c1, c2 = 1 - 0.9 ** (i + 1), 1 - 0.999 ** (i + 1)
        p = jax.tree.map(lambda p, m, v: p - RATE * (m / c1) / (jnp.sqrt(v / c2) + 1e-8), p, m, v)
        return (p, m, v, k), value

    def make():
        run = jax.jit(lambda c: jax.lax.scan(step, c, jnp.arange(steps, dtype=jnp.float32)))
        p = (W_in, b, W_out)
        zeros = jax.tree.map(jnp.zeros_like, p)
        start = (p, zeros, zeros, jax.random.PRNGKey(3))
        return lambda: jax.block_until_ready(run(start))

    report.measure("scan", make, steps)


def with_jax(options):
    import jax
    import jax.numpy as jnp

    if options.gpu and jax.default_backend() != "gpu":
        line(peer="jax", skipped="it finds no GPU")
        return True
    jax.config.update("jax_default_matmul_precision", {"fp32": "float32", "tf32": "tensorfloat32", "bf16": "bfloat16"}[options.precision])
    if options.check:
        return check_jax(jax, jnp)
    name = f"jax-{jax.__version__}-{jax.default_backend()}"
    for sizes in options.cases:
        report = Report("train" if options.train else "step", name, sizes, options, lambda: None)
        (jax_training if options.train else jax_steps)(jax, jnp, sizes, options, report)
    return True


def check_jax(jax, jnp):
    agree, key = True, jax.random.PRNGKey(5)
    for D in (1, 3):
        net = jax_net(jax, jnp, (D, 40, 9), "fp32")
        factored, fused, reference_of = jax_forms(jax, jnp, net)
        W_in, _, W_out, _ = net
        r = jax.random.normal(key, (9, 40))
        x = r @ W_out.T
        first = factored(x, key, 0.0)
        for form, y in (("reference", reference_of(W_in @ W_out, jnp.linalg.pinv(W_out))(r, key, 0.0) @ W_out.T), ("fused", fused(x, key, 0.0))):
            distance = float(jnp.abs(y - first).max() / jnp.abs(first - x).max())
            agree = agree and distance < ROUNDING
            line(check="jax", form=form, D=D, distance=distance)
    return agree


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "tf32", "bf16"))
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--only", choices=("torch", "jax"))
    parser.add_argument("--seconds", type=float, default=2.0, help="about so long for each measurement, after it is compiled")
    parser.add_argument("--gpu", action="store_true", help="a GPU or nothing: what finds none is named and left out")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("cases", nargs="*", metavar="D:N:B")
    options = parser.parse_args()
    usual = ["1:1000:32", "100:4000:128", "300:2000:64", "300:20000:64"] if options.train else ["1:1000:262144", "2:1000:262144", "300:20000:16384"]
    try:
        options.cases = [tuple(int(v) for v in text.split(":")) for text in options.cases or usual]
        if any(len(sizes) != 3 or min(sizes) < 1 for sizes in options.cases):
            raise ValueError
    except ValueError:
        parser.error("a case is D:N:B, three whole numbers")
    agree, found = True, False
    for name, program in (("torch", with_torch), ("jax", with_jax)):
        if options.only in (None, name):
            try:
                agree = program(options) and agree
                found = True
            except ImportError as missing:
                line(peer=name, error=f"not installed: {missing.name}")
    if not agree:
        sys.exit("the forms do not agree")
    if options.check and not found:
        sys.exit(77)  # skipped, to ctest


if __name__ == "__main__":
    main()
