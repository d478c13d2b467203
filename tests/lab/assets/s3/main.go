// An S3 server for tests: it keeps what is put by who signs with the one key, each object as a file.
//
// Signatures are checked by the code of MinIO, as the module below has it.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"

	"github.com/rclone/gofakes3/signature"
)

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: s3 ADDRESS FOLDER KEY-ID SECRET")
	}
	folder := os.Args[2]
	signature.StoreKeys(map[string]string{os.Args[3]: os.Args[4]})
	log.Fatal(http.ListenAndServe(os.Args[1], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if code := signature.V4SignVerify(r); code != signature.ErrNone {
			log.Printf("%s %s: not let in", r.Method, r.URL.Path)
			http.Error(w, "SignatureDoesNotMatch", http.StatusForbidden)
			return
		}
		if r.Method != http.MethodPut {
			http.Error(w, "MethodNotAllowed", http.StatusMethodNotAllowed)
			return
		}
		path := filepath.Join(folder, filepath.Clean("/"+r.URL.Path))
		if err := put(r, path); err != nil {
			log.Print(err)
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})))
}

// put writes the body, if it is what was signed.
func put(r *http.Request, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	draft, err := os.CreateTemp(filepath.Dir(path), ".draft")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	digest := sha256.New()
	if _, err := io.Copy(io.MultiWriter(draft, digest), r.Body); err != nil {
		return err
	}
	if err := draft.Close(); err != nil {
		return err
	}
	if hex.EncodeToString(digest.Sum(nil)) != r.Header.Get("X-Amz-Content-Sha256") {
		return os.ErrInvalid
	}
	return os.Rename(draft.Name(), path)
}
