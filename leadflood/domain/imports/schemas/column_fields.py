"""Column fields: what a column of a file may mean."""

from enum import StrEnum

from leadflood.contracts.values import FieldName


class ColumnField(StrEnum):
    """The meaning of a column: a value of the lead by its own word, or what is no value.

    - `opt_out`: who said no, and to which channel.
    - `opt_in`, `opt_in_wording`, `opt_in_at`: who agreed to which channel, to which words, when.
    - `contact_status`: the word of a mail tool, a verifier or a CRM for the contact
      (`unsubscribed`, `do_not_mail`, `risky`); words that say nothing of consent or of the address
      are left alone.
    - `external_id`: the id of the row in the system that the file is from.
    - `tags`: tags of the lead, with commas, semicolons or bars between.
    - `owner`: the e-mail address of the user whose a new lead is to be.
    """

    FULL_NAME = "full_name"
    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    TITLE = "title"
    SENIORITY = "seniority"
    DEPARTMENT = "department"
    EMAIL = "email"
    EMAIL_STATUS = "email_status"
    PHONE = "phone"
    MOBILE_PHONE = "mobile_phone"
    LINKEDIN_URL = "linkedin_url"
    CITY = "city"
    REGION = "region"
    COUNTRY = "country"
    COMPANY_NAME = "company_name"
    COMPANY_DOMAIN = "company_domain"
    COMPANY_PAGE = "company_page"
    COMPANY_INDUSTRY = "company_industry"
    COMPANY_SIZE = "company_size"
    COMPANY_COUNTRY = "company_country"
    COMPANY_TECHNOLOGIES = "company_technologies"
    COMPANY_FOUNDED = "company_founded"
    COMPANY_REVENUE = "company_revenue"
    COMPANY_LINKEDIN_URL = "company_linkedin_url"
    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    OPT_IN_WORDING = "opt_in_wording"
    OPT_IN_AT = "opt_in_at"
    CONTACT_STATUS = "contact_status"
    EXTERNAL_ID = "external_id"
    TAGS = "tags"
    OWNER = "owner"

    @property
    def value_field(self) -> FieldName | None:
        """The field of the lead that the column holds values of; None: it holds none."""
        return _VALUE_FIELDS.get(self)


_VALUE_FIELDS = {ColumnField(field.value): field for field in FieldName}
CONSENT_FIELDS = frozenset(
    {
        ColumnField.OPT_OUT,
        ColumnField.OPT_IN,
        ColumnField.OPT_IN_WORDING,
        ColumnField.OPT_IN_AT,
        ColumnField.CONTACT_STATUS,
    }
)
"""What a column may say of consent."""
