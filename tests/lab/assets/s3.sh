# s3.sh: an S3 server that checks signatures.
# uses: go.sh
. "$(dirname "$0")/go.sh"
# Its module is younger than the Go that Kubernetes needs.
export GOTOOLCHAIN=auto

cd "$work"
cp "$(dirname "$0")/s3/main.go" .
printf 'module lab/s3\n\ngo 1.24.0\n\nrequire github.com/rclone/gofakes3 v0.0.12\n' > go.mod
go_install "" .
