# SPDX-License-Identifier: Apache-2.0
"""Create Neutron's schema in SQLite from its models: `neutron_schema.py DATABASE_URL`.

Its chain of migrations alters constraints, which SQLite cannot. The migrations also insert one set of rows
that the models do not have, the rules that every new security group begins with; they are inserted here.
"""

import importlib.util
import pathlib
import sys

import neutron.db.migration
import sqlalchemy
from neutron.db.migration.models import head  # noqa: F401 - imports every model
from neutron_lib.db import model_base


def default_rules():
    """The migration that holds the default rules, as a module."""
    home = pathlib.Path(neutron.db.migration.__file__).parent
    path = next(home.rglob("*_security_group_default_rules.py"))
    spec = importlib.util.spec_from_file_location("default_rules", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    """Find-or-create."""
    engine = sqlalchemy.create_engine(sys.argv[1])
    tables = model_base.BASEV2.metadata
    tables.create_all(engine)
    module = default_rules()
    rules = tables.tables[module.table_name]
    attributes = tables.tables["standardattributes"]
    with engine.begin() as connection:
        if connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(rules)):
            return
        for rule in map(dict, module.default_template_rules):
            standard = {
                "description": rule.pop("description"),
                "resource_type": module.table_name,
                "revision_number": 0,
            }
            made = connection.execute(sqlalchemy.insert(attributes).values(**standard))
            key = made.inserted_primary_key[0]
            connection.execute(sqlalchemy.insert(rules).values(standard_attr_id=key, **rule))


if __name__ == "__main__":
    main()
