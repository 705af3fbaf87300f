"""The desk as its operating system shows it: folders, clock, ports, services, devices; nothing of ours is asked.

For other rooms: ``browsers``, ``cameras``, ``clock``, ``folders``, ``galss``, ``installation``, ``installed_service``,
``pcsc_service``, ``serial_ports``, ``tcp_ports``, ``usb``.
"""
