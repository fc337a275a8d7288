# Rewrite a tar archive with Python's tarfile: FORMAT FROM OUT
import sys
import tarfile

form = getattr(tarfile, sys.argv[1] + "_FORMAT")
with tarfile.open(sys.argv[2]) as source, tarfile.open(sys.argv[3], "w", format=form) as out:
    for member in source:
        data = source.extractfile(member) if member.isreg() else None
        if form != tarfile.PAX_FORMAT:
            member.mtime = int(member.mtime)
            if any(key.startswith("SCHILY.") for key in member.pax_headers):
                sys.exit("extended attributes need PAX")
        out.addfile(member, data)
