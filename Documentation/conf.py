# SPDX-License-Identifier: GPL-2.0
"""make docs: these pages and the kernel-doc of the new kernel files, with the kernel's own extension."""

import os
import re
import sys

from docutils import nodes

TOP = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
LINUX = os.path.join(TOP, 'build/linux')
sys.path.insert(0, os.path.join(LINUX, 'Documentation/sphinx'))

with open(os.path.join(TOP, 'userspace/libegm/egm.h'), encoding='utf-8') as f:
    version = release = re.search(r'EGM_VERSION "(.*)"', f.read())[1]
project = 'Emulated coherent graphics memory'
extensions = ['kerneldoc', 'automarkup']
os.environ['KDOC_WERROR'] = '1'         # its warnings are sphinx's
kerneldoc_bin = os.path.join(LINUX, 'scripts/kernel-doc')
kerneldoc_srctree = LINUX
c_id_attributes = ['__user', '__must_check']
html_theme = 'alabaster'
html_copy_source = False
exclude_patterns = ['conf.py']


def local_links(app, doctree):
    """A link to another page works on the web and here; one to nothing is a warning."""
    here = os.path.join(TOP, 'Documentation')
    for node in doctree.findall(nodes.reference):
        uri = node.get('refuri', '')
        if not uri or ':' in uri:
            continue
        if not os.path.exists(os.path.join(here, uri.partition('#')[0])):
            doctree.reporter.warning(f'there is no {uri}', base_node=node)
        elif '.rst' in uri:
            node['refuri'] = uri.replace('.rst', '.html')
        else:
            node['refuri'] = '../' + uri    # from build/docs


def setup(app):
    app.connect('doctree-read', local_links)
