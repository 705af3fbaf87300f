# What this project uses of nfcpy (1.0.4).

from nfc import clf as clf
from nfc import tag as tag
from nfc.clf import ContactlessFrontend as ContactlessFrontend
