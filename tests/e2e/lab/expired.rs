//! Certificates that have ended: signed anew for no time at all, and all that shows them begun again.

use super::Lab;

/// As root: `resign CERTIFICATE KEY AUTHORITY AUTHORITY-KEY` gives a certificate the same names and no life.
const RESIGN: &str = r#"resign() {
  openssl x509 -in $1 -x509toreq -copy_extensions copy -signkey $2 2> /dev/null | openssl x509 -req -copy_extensions copy \
    -CA $3 -CAkey $4 -set_serial 4711 -days 0 -out $1.new 2> /dev/null
  mv $1.new $1
}
"#;

/// As root on a control plane: every certificate that is none of an authority ends now, those in kubeconfigs, too.
const CONTROL_PLANE: &str = r#"cd /etc/kubernetes/pki
etcd_key=etcd/ca.key
[ -e $etcd_key ] || etcd_key=/etc/kbootstrap/pki/etcd-ca.key
for name in apiserver apiserver-kubelet-client; do resign $name.crt $name.key ca.crt ca.key; done
resign front-proxy-client.crt front-proxy-client.key front-proxy-ca.crt front-proxy-ca.key
for name in apiserver-etcd-client etcd/server etcd/peer etcd/healthcheck-client /etc/kbootstrap/etcd/member; do
  [ ! -e $name.crt ] || resign $name.crt $name.key etcd/ca.crt $etcd_key
done
for name in admin super-admin controller-manager scheduler; do
  file=/etc/kubernetes/$name.conf
  [ -f $file ] || continue
  sed -n 's/^ *client-certificate-data: //p' $file | base64 -d > /tmp/own.crt
  sed -n 's/^ *client-key-data: //p' $file | base64 -d > /tmp/own.key
  resign /tmp/own.crt /tmp/own.key ca.crt ca.key
  sed -i "s|^\( *client-certificate-data: \).*|\1$(base64 -w0 /tmp/own.crt)|" $file
done
rm /tmp/own.key"#;

/// As root on any node: its kubelet's certificate ended while kubelet was off.
const KUBELET: &str = r#"systemctl stop kubelet
file=$(readlink -f /var/lib/kubelet/pki/kubelet-client-current.pem)
openssl pkey -in $file -out /tmp/kubelet.key
openssl req -new -key /tmp/kubelet.key -subj "/O=system:nodes/CN=system:node:$(hostname)" 2> /dev/null \
  | openssl x509 -req -signkey /tmp/kubelet.key -set_serial 4711 -days 0 -out /tmp/kubelet.crt 2> /dev/null
cat /tmp/kubelet.crt /tmp/kubelet.key > $file
systemctl start kubelet || true"#;

/// As root on a member of etcd that is none of a control plane's, and has nobody's key but its own.
const MEMBER: &str = r#"cd /etc/kbootstrap/etcd
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=nobody -keyout /tmp/nobody.key -out /tmp/nobody.crt 2> /dev/null
resign member.crt member.key /tmp/nobody.crt /tmp/nobody.key"#;

/// As root: everything that shows a certificate begins anew.
const RESTART: &str = r#"systemctl try-restart --no-block kbootstrap-etcd.service 2> /dev/null || true
crictl ps -q | xargs -r crictl stop -t 2 > /dev/null"#;

impl Lab {
    /// Nothing that a certificate opens is open any more: all have ended, but those of the authorities.
    pub fn end_certificates(&self) {
        let root =
            |node: &str, text: &str| self.ssh(node, &format!("sudo sh -eu -s << 'AS-ROOT'\n{text}\nAS-ROOT")).success();
        let nodes = self.nodes();
        for node in &nodes {
            let own = match (node.starts_with("cp"), self.ssh(node, "test -e /etc/kbootstrap/etcd/member.crt").ok()) {
                (true, _) => CONTROL_PLANE,
                (false, true) => MEMBER,
                (false, false) => "",
            };
            root(node, &format!("{RESIGN}{own}"));
            root(node, KUBELET);
        }
        for node in nodes.iter().filter(|node| node.starts_with("cp")) {
            root(node, RESTART);
        }
    }
}
