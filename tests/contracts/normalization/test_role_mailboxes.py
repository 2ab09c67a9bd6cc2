import pytest
from leadflood.contracts.normalization.role_mailboxes import is_role_mailbox


@pytest.mark.parametrize(
    "local",
    ["info", "INFO", "sales2", "sales.emea", "hr-jobs", "kontakt", "büro", "info+web", "no-reply"],
)
def test_what_several_people_read_is_a_role_s(local: str) -> None:
    assert is_role_mailbox(f"{local}@acme.de")


@pytest.mark.parametrize("local", ["ada", "ada.berg", "berg.sales", "it.berg", "salesman", "infos"])
def test_a_person_s_mailbox_is_no_role_s(local: str) -> None:
    assert not is_role_mailbox(f"{local}@acme.de")
