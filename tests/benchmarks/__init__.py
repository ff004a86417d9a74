"""The benchmarks are measured by `make bench`; what is tested here is that they measure the right thing."""
