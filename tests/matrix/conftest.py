"""The table of options and configs, printed behind the tests."""

from collections import defaultdict

from tabulate import tabulate


def pytest_terminal_summary(terminalreporter):
    table = defaultdict(dict)
    for outcome in ('passed', 'failed'):
        for report in terminalreporter.getreports(outcome):
            cell = dict(report.user_properties)
            if 'option' in cell:
                said = cell.get('said', '?') if outcome == 'passed' else 'FAILED'
                table[cell['option']][cell['config']] = said
    if table:
        configs = sorted({config for row in table.values() for config in row})
        rows = [[option, *(row.get(c, '') for c in configs)] for option, row in table.items()]
        terminalreporter.section('options x configs')
        terminalreporter.write_line(tabulate(rows, ['', *configs]))
        terminalreporter.write_line(
            '"error": ends in one message that names what is missing; "+": with EMA, a list of '
            'init_cfg, lr_mult and a wrapped data set'
        )
