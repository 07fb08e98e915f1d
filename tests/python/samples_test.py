"""samples.nc and metrics.jsonl in the tools that people use: ArviZ, xarray, pandas.

usage: samples_test.py TARN      Exit code 77, for ctest a skip, where one of the libraries is missing.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

try:
    import matplotlib

    matplotlib.use("Agg")
    import arviz
    import numpy
    import pandas
    import xarray
except ImportError as missing:
    print(f"skipped: {missing} (pip install arviz)")
    sys.exit(77)

TARN = sys.argv[1] if len(sys.argv) > 1 else "tarn"

PEAK = """
[run]
name = "peak"
seed = 5
[data]
kind = "gaussian_mixture"
means = [[-1.0, 0.0], [1.0, 0.5]]
std = 0.5
epoch_size = 1280
[model]
neurons = 32
[training]
epochs = 15
batch_size = 64
[training.noise]
levels = 3
[sampling]
schedule = "last_level"
chains = 40
steps = 2000
burn_in = 100
thin = 20
dt = 0.02
"""

HEE = """
[run]
name = "hee"
seed = 5
[data]
kind = "gaussian_mixture"
means = [[0.0, 0.0]]
covariances = [[[1.25, 0.5], [0.5, 1.25]]]
epoch_size = 640
[inference]
dt = 0.05
steps = 20
window = 10
chains_per_datum = 2
[training]
epochs = 1
batch_size = 64
[sampling]
chains = 64
steps = 100
burn_in = 10
thin = 10
[model]
kind = "hee"
[[model.layers]]
family = "gaussian"
s = 0.5
[[model.layers]]
size = 3
family = "gaussian"
"""


def run(config, folder):
    file = folder / "config.toml"
    file.write_text(config)
    subprocess.run([TARN, "-q", "run", file, "--threads", "1", "--out", folder / "runs"], check=True)
    return next(p for p in (folder / "runs").iterdir() if p.is_dir())


class Network(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = run(PEAK, pathlib.Path(cls.scratch.name))
        cls.data = arviz.from_netcdf(cls.folder / "samples.nc")

    @classmethod
    def tearDownClass(cls):
        cls.data.close()
        cls.scratch.cleanup()

    def test_groups_and_dimensions(self):
        self.assertEqual(set(self.data.groups()), {"posterior", "sample_stats"})
        self.assertEqual(self.data.posterior.x.dims, ("chain", "draw", "dim"))
        self.assertEqual(self.data.posterior.x.shape, (40, 100, 2))
        self.assertEqual(self.data.sample_stats.score_norm.dims, ("chain", "draw"))
        self.assertEqual(self.data.sample_stats.diverging.dtype, bool)
        self.assertEqual(list(self.data.posterior.step.values[:2]), [120, 140])

    def test_attributes(self):
        attributes = self.data.posterior.attrs
        self.assertEqual(attributes["inference_library"], "tarn")
        self.assertRegex(attributes["inference_library_version"], r"^\d+\.\d+\.\d+")
        self.assertEqual(attributes["seed"], 5)
        self.assertGreater(attributes["sampling_time"], 0.0)
        created = pandas.Timestamp(attributes["created_at"])
        self.assertLess(abs((pandas.Timestamp.now(tz="UTC") - created).total_seconds()), 600)

    def test_summary_is_ours(self):
        """ArviZ's figures, from the file that it opened itself, are those of metrics.jsonl."""
        summary = arviz.summary(self.data, round_to="none")
        metrics = pandas.read_json(self.folder / "metrics.jsonl", lines=True).set_index("name")["value"]
        self.assertAlmostEqual(summary["r_hat"].max(), metrics["r_hat"], delta=1e-5)
        self.assertAlmostEqual(summary["ess_bulk"].min() / metrics["ess_bulk"], 1.0, delta=1e-4)
        self.assertAlmostEqual(summary["ess_tail"].min() / metrics["ess_tail"], 1.0, delta=1e-4)

    def test_plots(self):
        for plot in (arviz.plot_trace, arviz.plot_rank, arviz.plot_autocorr, arviz.plot_posterior):
            few = self.data.sel(chain=slice(0, 3))
            axes = plot(few)
            self.assertGreater(numpy.size(axes), 0)
            matplotlib.pyplot.close("all")

    def test_score_norm_is_that_of_the_score(self):
        """The program's own `tarn score` at the draws, through files."""
        x = self.data.posterior.x.values.reshape(-1, 2)
        folder = pathlib.Path(self.scratch.name)
        numpy.save(folder / "points.npy", x)
        subprocess.run([TARN, "-q", "score", self.folder, "--at", folder / "points.npy", "--out", folder / "s.npy"],
                       check=True)
        norm = numpy.linalg.norm(numpy.load(folder / "s.npy").astype(float), axis=1)
        stored = self.data.sample_stats.score_norm.values.reshape(-1)
        numpy.testing.assert_allclose(stored, norm, rtol=1e-5)

    def test_xarray_and_pandas(self):
        with xarray.open_dataset(self.folder / "samples.nc", group="posterior") as posterior:
            self.assertEqual(set(posterior.coords), {"chain", "draw", "dim", "step", "time"})
        metrics = pandas.read_json(self.folder / "metrics.jsonl", lines=True)
        self.assertTrue({"training", "evaluation"} <= set(metrics["kind"]))
        training = metrics[metrics["kind"] == "training"]
        self.assertTrue(training["step"].is_monotonic_increasing)
        self.assertTrue(numpy.isfinite(training["loss"].astype(float)).all())

    def test_timing(self):
        timing = json.loads((self.folder / "timing.jsonl").read_text().splitlines()[-1])
        self.assertAlmostEqual(timing["sampling_s"], self.data.posterior.attrs["sampling_time"], delta=2e-3)


class Hierarchical(unittest.TestCase):
    def test_given_and_log_joint(self):
        with tempfile.TemporaryDirectory() as scratch:
            data = arviz.from_netcdf(run(HEE, pathlib.Path(scratch)) / "samples.nc")
            self.assertEqual(set(data.groups()), {"posterior", "sample_stats", "observed_data"})
            self.assertEqual(data.observed_data.x_0.shape, (32, 2))
            self.assertEqual(data.sample_stats.lp.dims, ("chain", "draw"))
            self.assertTrue(numpy.isfinite(data.sample_stats.lp.values).all())
            # chains of one datum look at the same observation: of lp = log p(x_0 | x) + log p(x), in which x ~ N(0, 1)
            # a priori, the second term is known, and what is left over is at most the first one's largest value
            prior = -0.5 * (data.posterior.x.values**2 + numpy.log(2.0 * numpy.pi)).sum(axis=2)
            likelihood = data.sample_stats.lp.values - prior
            self.assertLess(likelihood.max(), -numpy.log(2.0 * numpy.pi * 0.5**2) + 1e-4)
            data.close()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
