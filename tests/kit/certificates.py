"""Certificates, for tests in Python: authorities and what they signed, in a folder. NAME.pem is a certificate, NAME.key its key."""
import os
import subprocess


class Certificates:
    def __init__(self, folder):
        self.folder = folder

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def openssl(self, *args):
        subprocess.run(["openssl", *args], cwd=self.folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def authority(self, name):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                     "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")

    def certificate(self, name, ca, names, days=2):
        """Negative days: it has expired."""
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                     "-keyout", f"{name}.key", "-out", f"{name}.csr")
        with open(self.path("ext"), "w", encoding="utf-8") as out:
            out.write(f"subjectAltName={names}\n")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial",
                     "-days", str(days), "-extfile", "ext", "-out", f"{name}.pem")

    def bundle(self, name):
        """A file with both, as a keystore of Java."""
        with open(self.path(f"{name}.bundle"), "wb") as out:
            out.write(self.read(f"{name}.key") + self.read(f"{name}.pem"))
        return self.path(f"{name}.bundle")
