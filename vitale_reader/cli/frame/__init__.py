"""The frame of every command: errors, options, language, output.

For other rooms: ``command``, ``completing``, ``describe``, ``exit_status``, ``fitting``, ``french``, ``language``,
``offline_store``, ``output``, ``prompts``, ``signals``, ``usage``.
"""
