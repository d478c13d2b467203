//! Names of values: what a playbook may say with `{ from = NAME }`.

/// What a value is made of; a field takes one shape only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The content of a file.
    Text,
    /// Lines, or a list of words.
    Lines,
    /// Kernel parameters.
    Sysctls,
    Packages,
    Repository,
    Images,
    Urls,
}

impl Shape {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Lines => "lines",
            Self::Sysctls => "sysctls",
            Self::Packages => "packages",
            Self::Repository => "repository",
            Self::Images => "images",
            Self::Urls => "urls",
        }
    }
}

macro_rules! names {
    ($($variant:ident, $text:literal, $shape:ident, $about:literal;)+) => {
        /// A value that the program knows: the closed list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Name {
            $(#[doc = $about] $variant,)+
        }

        impl Name {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word in playbooks.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            pub const fn shape(self) -> Shape {
                match self { $(Self::$variant => Shape::$shape,)+ }
            }

            /// What it is, in a line.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)+ }
            }
        }
    };
}

names! {
    BackupPackages, "backup-packages", Packages, "What encrypts backups on control planes; none where none are scheduled.";
    BasePackages, "base-packages", Packages, "What kubelet, kubeadm and this program call.";
    ClusterCa, "cluster-ca", Text, "The certificate of the cluster's authority; known once it is made.";
    ClusterIdentity, "cluster-identity", Text, "The cluster's identity that every node carries; known once it is made.";
    ContainerdConfig, "containerd-config", Text, "containerd's config.toml, with the inventory's table merged in.";
    CrictlConfig, "crictl-config", Text, "crictl.yaml for the container runtime.";
    EndpointConfig, "endpoint-config", Text, "haproxy.cfg of the node's own way to the API servers.";
    EndpointPackages, "endpoint-packages", Packages, "What the local proxy needs; none where the endpoint is external.";
    EndpointUnit, "endpoint-unit", Text, "The unit of the local proxy.";
    HostsLines, "hosts-lines", Lines, "The node's own name and, for the local proxy, the endpoint's.";
    Images, "images", Images, "Every image that the node's role and the network need.";
    KernelModules, "kernel-modules", Lines, "Kernel modules that the runtime and the network need.";
    KernelSysctls, "kernel-sysctls", Sysctls, "Kernel parameters that Kubernetes and the network need.";
    KubernetesPackages, "kubernetes-packages", Packages, "kubelet, kubeadm and kubectl of the wanted version, and what goes with them.";
    KubernetesRepository, "kubernetes-repository", Repository, "Where packages of the wanted minor version come from, and the one key for them.";
    NeedrestartConfig, "needrestart-config", Text, "Settings that keep needrestart away from a node's services.";
    RegistryUrls, "registry-urls", Urls, "Where the registries of the images answer.";
    RuntimePackages, "runtime-packages", Packages, "The container runtime.";
    TimePackages, "time-packages", Packages, "A time daemon; none where the inventory keeps time by other means.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_each_says_what_it_is() {
        assert!(Name::ALL.is_sorted_by_key(|name| name.as_str()));
        assert!(Name::ALL.iter().all(|name| name.about().ends_with('.')));
    }
}
