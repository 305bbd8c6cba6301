"""Run all benchmarks that need only this machine: ``python -m benchmarks``."""

from benchmarks import demo, expansion, predictions, rest, scheduling

for benchmark in (expansion, scheduling, predictions, rest, demo):
    print(f"\n== {benchmark.__name__}: {(benchmark.__doc__ or '').splitlines()[0]}", flush=True)
    benchmark.main()
