# SPDX-License-Identifier: Apache-2.0
import rich.table

from rmpe_plugin.utils.tables import Table, rich_table, table_console


def test_wide_table_with_brackets_is_printed_as_it_is_to_a_file(capsys):
    header = ('walk [red].mp4', *(f'column {i}' for i in range(9)))
    table_console().print(rich_table(Table(header, [['0.123'] * 10]), 'a [b] c'))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == 'a [b] c'
    assert all(name in lines[2] for name in header)
    assert lines[4].count('0.123') == 10


def test_console_also_prints_tables_of_rich(capsys):
    table_console().print(rich.table.Table('x[1]'))
    assert 'x[1]' in capsys.readouterr().out
