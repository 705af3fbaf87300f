"""A window with Tk: one button reads a card, another gives the reading up.

The window never stands still, since the SDK waits in a thread of its own. Tk is touched by its own thread alone, which
looks into a queue again and again.
"""

import queue
import threading
import tkinter as tk

import vitale_reader

LOOK_AGAIN = 50  # milliseconds: sooner than anybody sees


class Window:
    """The window of one counter."""

    def __init__(self, root: tk.Tk, reader: vitale_reader.Connection) -> None:
        self.root, self.reader = root, reader
        self.pending: vitale_reader.PendingRead | None = None
        self.told: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.text = tk.StringVar(root, "Prêt.")
        tk.Label(root, textvariable=self.text, width=60, height=4, wraplength=400).pack()
        self.read_button = tk.Button(root, text="Lire la carte", command=self.read)
        self.cancel_button = tk.Button(root, text="Annuler", command=self.cancel, state="disabled")
        self.read_button.pack(side="left")
        self.cancel_button.pack(side="right")
        root.protocol("WM_DELETE_WINDOW", self.close)
        self.look()

    def read(self) -> None:
        """Begins a read; another thread waits for it."""
        self.read_button["state"], self.cancel_button["state"] = "disabled", "normal"
        self.pending = self.reader.reading(scopes="identity", on_progress=lambda step: self.told.put(step.message))
        threading.Thread(target=self.wait, args=(self.pending,)).start()

    def wait(self, pending: vitale_reader.PendingRead) -> None:
        """Runs in a thread of its own: it may wait, and must not touch the window."""
        try:
            with pending:
                found = pending.result()
            holder = found.holder
            self.told.put(f"{holder.nom_usuel} {holder.prenom}" if holder else "Porteur inconnu.")
        except vitale_reader.VitaleError as error:
            self.told.put(f"{error.title}\n{error.remedy}")
        self.told.put(None)

    def look(self) -> None:
        """Runs in Tk's thread: shows what the other one told."""
        while not self.told.empty():
            if (text := self.told.get()) is not None:
                self.text.set(text)
            else:
                self.read_button["state"], self.cancel_button["state"] = "normal", "disabled"
        self.root.after(LOOK_AGAIN, self.look)

    def cancel(self) -> None:
        """Gives up the read that waits."""
        if self.pending is not None:
            self.pending.cancel()

    def close(self) -> None:
        """Ends what waits, then the window."""
        self.reader.close()  # a read that waits ends with Cancelled, and so does its thread
        self.root.destroy()


def main() -> None:
    with vitale_reader.connect(name="gui-tk", language="fr") as reader:
        root = tk.Tk()
        root.title("Carte Vitale")
        Window(root, reader)
        root.mainloop()


if __name__ == "__main__":
    try:
        main()
    except vitale_reader.VitaleError as error:
        raise SystemExit(f"{error.title}\n  {error.remedy}") from error
