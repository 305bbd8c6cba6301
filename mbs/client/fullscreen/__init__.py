"""The full-screen view of ``mbs watch``. It needs Textual, which the extra ``terminal`` installs.

Only ``mbs.client.following`` imports this package, when the view is shown: Textual takes longer to import
than most commands take to run.

All texts come from the server and are hostile: control characters are escaped when they are read, and widgets
get ``rich.text.Text``, whose content is not interpreted as markup.
"""
