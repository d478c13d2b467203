# keys.sh: the key that signs the lab's package repositories, and the authority behind its certificates. Made once per
# cache and kept (lib/assets.sh), so that a fingerprint in somebody's inventory and a root built before stay right.
cd "$OUT"
mkdir -m 700 gnupg
gpg --homedir gnupg --batch --passphrase '' --quick-gen-key 'lab <lab@localhost>' rsa2048 sign never
gpg --homedir gnupg --armor --export lab@localhost > signing-key.asc
gpg --homedir gnupg --with-colons --list-keys lab@localhost | awk -F: '$1 == "fpr" { print $10; exit }' > fingerprint
gpgconf --homedir gnupg --kill all
rm -f gnupg/S.*

openssl ecparam -name prime256v1 -genkey -noout -out ca.key
openssl req -x509 -new -key ca.key -days 7300 -subj '/CN=kbootstrap lab' -out ca.crt \
  -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign'
