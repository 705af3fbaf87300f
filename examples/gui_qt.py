"""A window with Qt (PySide6): one button reads a card, another gives the reading up.

The window never stands still, since the SDK waits in a thread of its own. Its signals reach the window in the window's
thread: Qt sees to that.
"""

import sys
import threading

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QVBoxLayout, QWidget

import vitale_reader


class Told(QObject):
    """The signals of a read."""

    text = Signal(str)
    ended = Signal()


class Window(QWidget):
    """The window of one counter."""

    def __init__(self, reader: vitale_reader.Connection) -> None:
        super().__init__()
        self.reader = reader
        self.pending: vitale_reader.PendingRead | None = None
        self.told = Told()
        self.label = QLabel("Prêt.")
        self.label.setWordWrap(True)
        self.read_button, self.cancel_button = QPushButton("Lire la carte"), QPushButton("Annuler")
        self.cancel_button.setEnabled(False)
        layout = QVBoxLayout(self)
        for widget in (self.label, self.read_button, self.cancel_button):
            layout.addWidget(widget)
        self.read_button.clicked.connect(self.read)
        self.cancel_button.clicked.connect(self.cancel)
        self.told.text.connect(self.label.setText)
        self.told.ended.connect(self.ready)

    def read(self) -> None:
        """Begins a read; another thread waits for it."""
        self.read_button.setEnabled(False)
        self.cancel_button.setEnabled(True)
        self.pending = self.reader.reading(
            scopes="identity", on_progress=lambda step: self.told.text.emit(step.message)
        )
        threading.Thread(target=self.wait, args=(self.pending,)).start()

    def wait(self, pending: vitale_reader.PendingRead) -> None:
        """Runs in a thread of its own: it may wait, and must not touch the window."""
        try:
            with pending:
                found = pending.result()
            holder = found.holder
            self.told.text.emit(f"{holder.nom_usuel} {holder.prenom}" if holder else "Porteur inconnu.")
        except vitale_reader.VitaleError as error:
            self.told.text.emit(f"{error.title}\n{error.remedy}")
        self.told.ended.emit()

    def ready(self) -> None:
        """Lets the next read begin."""
        self.read_button.setEnabled(True)
        self.cancel_button.setEnabled(False)

    def cancel(self) -> None:
        """Gives up the read that waits."""
        if self.pending is not None:
            self.pending.cancel()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Ends what waits; the window goes."""
        self.reader.close()  # a read that waits ends with Cancelled, and so does its thread
        event.accept()


def main() -> int:
    application = QApplication(sys.argv)
    with vitale_reader.connect(name="gui-qt", language="fr") as reader:
        window = Window(reader)
        window.setWindowTitle("Carte Vitale")
        window.show()
        return application.exec()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except vitale_reader.VitaleError as error:
        raise SystemExit(f"{error.title}\n  {error.remedy}") from error
