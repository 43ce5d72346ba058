# SPDX-License-Identifier: MIT
"""KTAP: the one reader and the one writer of the scripts that are in Python."""

import contextlib
import os
import re

PASS, FAIL, SKIP = 'passed', 'failed', 'skipped'

VERSION = re.compile(r'(?:KTAP version [12]|TAP version 1[34])$')
PLAN = re.compile(r'1\.\.(\d+)(?:\s+#\s*SKIP\b\s*(.*))?$', re.I)
RESULT = re.compile(r'(ok|not ok)\b(?: +(\d+))?(?: +(?:- )?(.*?))?(?:\s+#\s*(.*))?$')
DIRECTIVE = re.compile(r'(SKIP|TODO|XFAIL|TIMEOUT|ERROR)\b:?\s*(.*)', re.I)
# KUnit has no plan for the parameters of a case, it counts them behind the last
KUNIT_TOTAL = re.compile(r'# (\S+): pass:\d+ fail:\d+ skip:\d+ total:(\d+)$')
TIME = re.compile(r'time=([\d.]+)(ms|s)\b')


class Case:
    """One leaf of the tree of tests."""

    def __init__(self, name, outcome, reason='', notes=(), seconds=None):
        self.name, self.outcome, self.reason = name, outcome, reason
        self.notes, self.seconds = list(notes), seconds


class Level:
    """The tests printed at one indentation."""

    def __init__(self, indent):
        self.indent = indent
        self.name = '(unnamed)'
        self.plan = None
        self.number = 0             # of the last result
        self.cases = []
        self.notes = []             # diagnostics since the last result
        self.problems = []
        self.skipped = None         # reason of a "1..0 # SKIP"

    def close(self):
        """What is wrong with the level once nothing more can come."""
        if self.plan is None:
            if self.number:
                self.problems.append('no plan (1..N): the output may be cut off')
        elif self.number < self.plan:
            self.problems.append(f'{self.number} of {self.plan} results: the output is cut off')
        elif self.number > self.plan:
            self.problems.append(f'{self.number} results, but {self.plan} planned')
        return self.problems


def outcome_of(word, directive):
    """(outcome, reason) of a result line."""
    m = DIRECTIVE.match(directive or '')
    kind = m.group(1).upper() if m else ''
    if kind == 'SKIP':
        return (SKIP if word == 'ok' else FAIL), m.group(2)
    if kind in ('TODO', 'XFAIL'):
        return SKIP, f'{kind.lower()}: {m.group(2)}'.rstrip(': ')
    if kind:
        return FAIL, f'{kind.lower()} {m.group(2)}'.strip()
    return (PASS if word == 'ok' else FAIL), ''


def adopt(parent, word, name, directive, child):
    """Enter a result of parent; child is the level of its subtests, or None."""
    outcome, reason = outcome_of(word, directive)
    notes, parent.notes = parent.notes, []
    if child is None:
        took = TIME.search(directive or '')
        seconds = float(took.group(1)) / (1000 if took.group(2) == 'ms' else 1) if took else None
        parent.cases.append(Case(name, outcome, reason, notes, seconds))
        return
    for problem in child.close():
        child.cases.append(Case('(output)', FAIL, problem, child.notes))
    if child.skipped is not None:
        child.cases.append(Case('', SKIP, child.skipped))
    for case in child.cases:
        case.name = f'{name}.{case.name}' if case.name else name
    # A test may fail outside its subtests, or have none
    if outcome == FAIL and all(c.outcome != FAIL for c in child.cases):
        child.cases.append(Case(name, FAIL, reason or 'failed outside its subtests',
                                child.notes + notes))
    elif outcome == SKIP and not child.cases:
        child.cases.append(Case(name, SKIP, reason, notes))
    elif not child.cases:
        child.cases.append(Case(name, FAIL, 'has no subtests', notes))
    parent.cases += child.cases


def parse(text):
    """The Cases of one KTAP document."""
    levels = [Level(0)]
    seen_header = False
    pending = None                  # the closed-off deeper level, for its parent's result
    for raw in text.splitlines():
        line = raw.rstrip()
        body = line.lstrip(' ')
        indent = len(line) - len(body)
        header = VERSION.match(body)
        is_subtest = re.match(r'# Subtest: *(.*)', body)
        plan, result = PLAN.match(body), RESULT.match(body)
        if not (header or is_subtest or plan or result):
            total = KUNIT_TOTAL.match(body)
            if total and total.group(1) == levels[-1].name and levels[-1].plan is None:
                levels[-1].plan = int(total.group(2))
            if body.startswith('#'):
                levels[-1].notes.append(body.lstrip('# '))
            elif body:
                levels[-1].notes.append(body)
            continue
        if indent > levels[-1].indent:
            levels.append(Level(indent))
        child = None
        while len(levels) > 1 and indent < levels[-1].indent:
            if child is not None:   # a level ended without its own result line
                adopt(levels[-1], 'not ok', child.name, '', child)
            child = levels.pop()
        level = levels[-1]
        if child is not None and not result:
            adopt(level, 'not ok', child.name, '', child)
        if header:
            seen_header = True
        elif is_subtest:
            level.name = is_subtest.group(1)
        elif plan:
            level.plan = int(plan.group(1))
            if level.plan == 0 and plan.group(2) is not None:
                level.skipped = plan.group(2) or 'no reason given'
        elif result:
            word, number, name, directive = result.groups()
            level.number += 1
            if number and int(number) != level.number:
                level.problems.append(f'result {number} where {level.number} was due')
                level.number = int(number)
            adopt(level, word, (name or number or '').strip() or f'test {level.number}',
                  directive, child)
    while len(levels) > 1:
        child = levels.pop()
        adopt(levels[-1], 'not ok', child.name, '', child)
    top = levels[0]
    if top.skipped is not None and not top.cases:
        return [Case('', SKIP, top.skipped)]
    cases = top.cases
    for problem in top.close():
        cases.append(Case('(output)', FAIL, problem, top.notes[-20:]))
    if not cases:
        why = 'no test results in it' if seen_header or text.strip() else 'the file is empty'
        cases = [Case('(output)', FAIL, why, top.notes[-20:])]
    return cases


class Writer:
    """The results of one level of tests, printed as they come.

    Without a plan from the start, the last call is end()."""

    def __init__(self, file, plan=None, name='', level=0):
        self.file, self.indent = file, '    ' * level
        self.level, self.count, self.failed = level, 0, 0
        self.say('KTAP version 1')
        if name:
            self.say(f'# Subtest: {name}')
        if plan is not None:
            self.say(f'1..{plan}')

    def say(self, line):
        print(self.indent + line, file=self.file, flush=True)

    def note(self, text):
        self.say(f'# {text}')

    def result(self, ok, name, notes=(), directive=''):
        """One result, below what explains it."""
        for note in notes:
            self.note(note)
        self.count += 1
        self.failed += not ok
        self.say(f'{"ok" if ok else "not ok"} {self.count} {name}' +
                 f' # {directive}' * bool(directive))

    def below(self, plan=None, name=''):
        """The level of the next result's subtests."""
        return Writer(self.file, plan, name, self.level + 1)

    def end(self):
        self.say(f'1..{self.count}')


@contextlib.contextmanager
def write(path, plan):
    """A Writer for a file that appears once it is whole."""
    with open(path + '.new', 'w', encoding='utf-8') as f:
        yield Writer(f, plan)
    os.replace(path + '.new', path)
