"""The frame of every command: errors, options, language, output.

For other rooms: ``command``, ``describe``, ``exit_status``, ``french``, ``language``, ``offline_store``, ``output``,
``signals``.
"""
