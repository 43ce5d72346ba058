# SPDX-License-Identifier: GPL-2.0
"""Run tests in guests on two kernels, so that their results can be compared.

scripts/piglit, scripts/selftests and scripts/vmwgfx use it. Each of them says what the
guest runs, reads what that leaves behind, and judges the results."""

import argparse
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time

import ktap

TOP = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
BUILD = os.path.join(TOP, 'build')
BASE = os.environ.get('BASE') or '6.12'
SUFFIX = '' if BASE == '6.12' else f'-{BASE}'   # what scripts/vm finds kernels of BASE under
LINUX = os.path.join(BUILD, f'linux{SUFFIX}')
STOCK = os.path.join(BUILD, f'stock{SUFFIX}')
PROGRAM = os.path.basename(sys.argv[0])

STALLED = 900           # seconds without a new result: the guest hangs

EXIT_REPORT = 123       # of scripts/vm: the command was fine, the kernel complained
EXIT_MISSING = 125
ENDED = 0, EXIT_REPORT


class Missing(Exception):
    """Something the comparison needs is missing: one line for the user."""


def say(text=''):
    print(text, flush=True)


def tell(text):
    say(f'{PROGRAM}: {text}')


def plural(count, noun):
    return f'{count} {noun}{"s" * (count != 1)}'


class Side:
    """One of the kernels, and the guest that runs the tests on it.

    What the tests are is for a subclass: command(), read() and key()."""

    quiet = False       # what scripts/vm has to say goes to vm.log

    def __init__(self, out, name, kernel, append=''):
        self.name, self.kernel, self.append = name, kernel, append
        self.dir = os.path.join(out, name)
        self.vm = None
        self.runs = []                  # where the guest under way has its results
        self.done = self.last = 0       # tests it has results of, since when
        self.status = 0
        self.cached = False
        self.attempts = []              # results of each run, the first one in front

    def command(self, tests, runs, guests):
        """What scripts/vm is given: the options for one of that many guests, and what
        it runs, which leaves the results of each of the runs in /results/RUN."""
        raise NotImplementedError

    def read(self, directory):
        """The results of one run by test, also of one under way or cut short."""
        raise NotImplementedError

    def key(self):
        """What the results depend on, to keep them while it is the same."""
        raise NotImplementedError

    def count(self, results):
        """How many tests are through."""
        return len(results)

    def start(self, tests, guests, again):
        """Run the tests in a guest, and another time if this is not the first."""
        directory = self.dir + '-again' * again
        runs = ['run', 'run-2'][:1 + again]
        shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(directory)
        with open(os.path.join(directory, 'tests'), 'w', encoding='utf-8') as f:
            f.writelines(t + '\n' for t in tests)
        options, command = self.command(tests, runs, guests)
        self.runs = [os.path.join(directory, name) for name in runs]
        # setpriv: no guest outlives this program
        command = ['setpriv', '--pdeathsig', 'TERM', os.path.join(TOP, 'scripts/vm'), '--quiet',
                   '--kernel', self.kernel, '--results', directory, *options,
                   *(['--append', self.append] if self.append else []), '--', *command]
        with open(os.path.join(directory, 'vm.log'), 'wb') if self.quiet else \
                contextlib.nullcontext() as log:
            self.vm = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
        self.done, self.last = 0, time.monotonic()

    def watch(self):
        """Count the tests that have a result by now; end a guest that hangs."""
        done = sum(self.count(self.read(path)) for path in self.runs)
        now = time.monotonic()
        if done > self.done:
            self.done, self.last = done, now
        elif now - self.last > STALLED and self.vm.poll() is None:
            tell(f'no new result on {self.name} for {STALLED} s: ending its guest')
            self.vm.terminate()

    def finish(self):
        """Take the results in; the guest has ended."""
        status = self.vm.returncode
        self.status = self.status or status
        if status == EXIT_MISSING:
            raise Missing(f'no guest for {self.name}, see above')
        self.attempts += [self.read(path) for path in self.runs]

    def info(self, name):
        try:
            with open(os.path.join(self.dir, name), encoding='utf-8', errors='replace') as f:
                return f.read()
        except OSError:
            return ''

    # The results of a kernel that does not change are kept

    def keep(self):
        if self.kernel == 'stock':
            with open(os.path.join(self.dir, 'key'), 'w', encoding='utf-8') as f:
                f.write(self.key())

    def load(self, tests):
        """Use the last run's results, if it ran all these tests."""
        if self.kernel != 'stock':
            return False
        results = self.read(os.path.join(self.dir, 'run'))
        if self.info('key') == self.key() and results.keys() >= set(tests):
            self.attempts = [results]
            self.cached = True
        return self.cached


def run(sides, tests, again=False):
    """Run the tests on these sides at once, with a line of progress now and then."""
    begun = shown = time.monotonic()
    for side in sides:
        side.start(tests, len(sides), again)
    try:
        while any(s.vm.poll() is None for s in sides):
            time.sleep(0.5)
            if time.monotonic() - shown >= 20:
                shown = time.monotonic()
                for side in sides:
                    side.watch()
                done = ', '.join(f'{s.name} {s.done}' for s in sides)
                tell(f'{shown - begun:.0f} s, {done} of {len(tests) * (1 + again)} tests')
    finally:
        for side in sides:
            side.vm.terminate()
            side.vm.wait()
    for side in sides:
        side.finish()


def run_both(stock, ours, tests, fresh):
    """The first run: of ours, and of stock if its results were not kept."""
    if not fresh and stock.load(tests):
        tell(f'{plural(len(tests), "test")} on ours; the results of stock are kept '
             'from an earlier run (--fresh runs it again)')
        run([ours], tests)
        return
    tell(f'{plural(len(tests), "test")} on {stock.name} and on ours')
    run([stock, ours], tests)
    if stock.status not in ENDED or not stock.attempts[0].keys() >= set(tests):
        raise Missing(f'the guest on {stock.name} ended early: nothing to compare with')


def run_again(stock, ours, tests, why):
    """Two more runs of the tests that are in doubt."""
    if tests and ours.status in ENDED:
        tell(f'{plural(len(tests), "test")} {why}: twice more on both')
        run([stock, ours], tests, again=True)


def parser(doc, epilog):
    """Their options, but for those that one has alone."""
    p = argparse.ArgumentParser(prog=f'scripts/{PROGRAM}', description=doc, epilog=epilog,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--kernel', default='release', metavar='KERNEL',
                   help='ours: release, debug or the path of a bzImage (%(default)s)')
    p.add_argument('--fresh', action='store_true',
                   help='run the stock kernel again even if nothing changed since its last run')
    return p


def need_kernel(kernel):
    """Of those on the command line."""
    image = kernel
    if kernel in ('release', 'debug'):
        image = os.path.join(LINUX, '.' + kernel, 'arch/x86/boot/bzImage')
    if not os.path.isfile(image):
        raise Missing(f'no kernel at {image}: run make kernel')


def stopped(signum, _frame):
    raise SystemExit(128 + signum)


def main(out, report, compare):
    """Call compare(), alone in the directory out; report is the path of the KTAP."""
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, stopped)
    os.makedirs(out, exist_ok=True)
    lock = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f'{PROGRAM}: {out} is in use by another run', file=sys.stderr)
        return EXIT_MISSING
    # What is found there after a run that was ended is no result of it
    if os.path.exists(report):
        os.unlink(report)
    try:
        return compare()
    except Missing as e:
        print(f'{PROGRAM}: {e}', file=sys.stderr)
        with ktap.write(report, 1) as k:
            k.result(False, 'the two kernels can be compared', [str(e)])
        return EXIT_MISSING
