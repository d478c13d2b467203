# shellcheck shell=bash
known_variants() { echo root-only; }
apply_variants() { :; }
