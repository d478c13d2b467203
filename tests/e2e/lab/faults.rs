//! What can be done to a lab's nodes. Each method returns once it is so.

use super::Lab;

impl Lab {
    /// Freezes a node: its connections stay and nothing answers on them.
    pub fn pause(&self, node: &str) {
        self.lab("pause", &[node]).success();
    }

    pub fn resume(&self, node: &str) {
        self.lab("resume", &[node]).success();
    }

    /// Packets to and from the node vanish.
    pub fn cut(&self, node: &str) {
        self.lab("cut", &[node]).success();
    }

    /// Packets between the two vanish. `other` may be `lab`: where programs under test and services are.
    pub fn cut_from(&self, node: &str, other: &str) {
        self.lab("cut", &[node, "--from", other]).success();
    }

    /// Ends every cut that the node is part of.
    pub fn heal(&self, node: &str) {
        self.lab("heal", &[node]).success();
    }

    /// Powers a node off at once. Its disk stays.
    pub fn kill(&self, node: &str) {
        self.lab("kill", &[node]).success();
    }

    /// Boots a node that is off, and waits until it answers on ssh.
    pub fn start(&self, node: &str) {
        self.lab("start", &[node]).success();
    }

    /// Leaves no free block on the node's disk.
    pub fn fill(&self, node: &str) {
        self.lab("fill", &[node]).success();
    }

    pub fn unfill(&self, node: &str) {
        self.lab("fill", &[node, "--undo"]).success();
    }

    /// Gives the node a new disk, and boots it.
    pub fn wipe(&self, node: &str) {
        self.lab("wipe", &[node]).success();
    }

    /// Keeps the disks of all nodes as `name`. They are powered off for it and on again.
    pub fn save(&self, name: &str) {
        self.lab("save", &[name]).success();
    }

    /// Puts disks that were kept as `name` back into all nodes, and boots them.
    pub fn restore(&self, name: &str) {
        self.lab("restore", &[name]).success();
    }
}
