# SPDX-License-Identifier: GPL-3.0-or-later
"""Cost of each letter after the one before it, for words without vowels. Made by tools/secret_statistics.py from

wamerican 2020.12.07-2 (SCOWL's own permissive terms): English words
wngerman 20161207-11 (GPL-2+): German words
wfrench 1.2.7-2 (GPL-2+): French words
wspanish 1.0.30 (public domain): Spanish words
witalian 1.10 (GPL-3+): Italian words
zxcvbn 4.5.0 (MIT): frequent English words, names, passwords
"""

from __future__ import annotations

DATA = """\
UVSUXYYaafdXUUeUnURWgbdlpkdYUVhbXXjjdTWQmYmPQRocgmcg/UYZ/iaf/kjLgS/oqJTU/kjoZi/gWb/llL/uTQWQ/boPVR/hszgp/cVV
/aXi/lmTVP/ctLNX/ZdrcidYUVhbXXjjdTWQmYmPQRocgmcg/gSc/Qae/riOeR/rvKUU/iplcj/bfZ/gVU/nlPZN/lzLPU/ih3di/ZaZ/ccn
/igQTO/asLSR/gbwZkdYUVhbXXjjdTWQmYmPQRocgmcg/aRT/cYU/lYUUP/fmORZ/chgXg/ahY/ehY/keQVN/c6NPR/gezVh/aUV/cWl/pfN
WQ/coTQR/ZhmTd/UXX/lbj/oiTTL/StPRS/mrmdi/gTP/cOi/ldadT/koWOL/djugedYUVhbXXjjdTWQmYmPQRocgmcg/kYa/heU/smOhS/T
tJSR/mmzgk/dcY//Ye/j/YbX/eTUUh/oIbZO/XTT/aWh/meWTP/YnUOQ/Zhsbd/bRc/fdV/xeWVT/VkVNK/fhofm/dWY/fdU/tkVXP/frKPR
/bhqbfdYUVhbXXjjdTWQmYmPQRocgmcg/hXX/gbp/kkOaN/lxJRS/cuugm/cZX/gaU/peOcN/itLRV/jntWl/cOX/dea/qnZUU/OnUSN/hmX
Xj/WVV/abg/fdRSN/WxSOV/keqki/bZT/eYa/xdUYO/blOST/dbidP
"""
