"""Every contract of M5 in one place: locales, tables, manifests, feature views, the workspace's layout.

Standard library and pyarrow only, so that anything may import it: a Spark executor, a GPU machine, a partner's notebook.
The other rooms build on this one; it imports none of them.
"""
