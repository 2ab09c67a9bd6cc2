from leadflood.domain.icp.schemas import Bands, Target, people_query
from tests.domain.icp.icps import an_icp


def test_discovery_looks_for_the_target_of_an_icp() -> None:
    target = Target(titles=("CTO",), countries=("DE",), company_size_max=50, keywords="robots")

    query = people_query(an_icp(target=target))

    assert (query.titles, query.countries, query.keywords) == (("CTO",), ("DE",), "robots")
    assert query.company_sizes == ((1, 50),)


def test_a_target_without_a_size_asks_for_none() -> None:
    assert people_query(an_icp(target=Target())).company_sizes == ()


def test_a_band_begins_at_a_thousandth_of_a_point_at_least() -> None:
    bands = Bands(medium=0.0001, high=70.0)

    assert (bands.medium_milli, bands.high_milli) == (1, 70_000)
