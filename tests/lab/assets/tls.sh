# tls.sh: one server certificate for every public name that the lab answers under.
names=(pkgs.k8s.io registry.k8s.io docker.io registry-1.docker.io auth.docker.io index.docker.io download.docker.com
  quay.io ghcr.io gcr.io k8s.gcr.io get.helm.sh github.com dl.k8s.io)
cd "$OUT"
cp "$ASSET_KEYS/ca.crt" .
openssl ecparam -name prime256v1 -genkey -noout -out server.key
openssl req -new -key server.key -subj '/CN=lab' -out server.csr
{
  printf 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName=IP:10.77.0.2,IP:10.77.0.3'
  printf ',DNS:%s' "${names[@]}"
} > extensions
openssl x509 -req -in server.csr -CA ca.crt -CAkey "$ASSET_KEYS/ca.key" -CAcreateserial -days 7300 -extfile extensions -out server.crt
rm -f server.csr extensions ca.srl
chmod 644 server.key
