"""All figures of API and console on one big store: fill it once, measure both.

    python -m benchmarks.big_store                                    # SQLite, 300,000 findings
    python -m benchmarks.big_store --postgresql --findings 5000000 --instances 100000

The output is that of benchmarks.api_queries and of benchmarks.console_pages.
"""

from __future__ import annotations

from benchmarks import api_queries, console_pages, drawn_store


def main() -> None:
    """Fill a store and measure."""
    options = api_queries.measuring_parser(__doc__).parse_args()
    with api_queries.place(server=options.postgresql) as url:
        begin = api_queries.CLOCK()
        drawn_store.fill(url, options.findings, options.instances, options.details)
        console_pages.fill_machines(url)
        print(f"filled in {api_queries.CLOCK() - begin:.0f} s")
        api_queries.measured(url, options)
        console_pages.measure(url)


if __name__ == "__main__":
    main()
