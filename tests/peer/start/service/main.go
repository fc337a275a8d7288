// Command service is the smallest image of `make start`: a static program that answers by HTTP.
package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	fmt.Println("started")
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ready") })
	fmt.Fprintln(os.Stderr, http.ListenAndServe("127.0.0.1:9200", nil))
	os.Exit(1)
}
