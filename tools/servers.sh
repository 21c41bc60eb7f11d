# Sourced by tools/prove and tools/litmus: throw-away people, directories, and servers that end with the script.
set -euo pipefail
alice_ids=61901:61901,61910 bob_ids=61902:61902
here=$(mktemp -d) && chmod 755 "$here"
server=
end() {
  [ -z "$server" ] || { kill "$server" 2> /dev/null && wait "$server" 2> /dev/null; } || true
  rm -rf "$here"
}
trap end EXIT

password() { od -An -N12 -tx1 /dev/urandom | tr -d ' \n'; }

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Waits until COMMAND succeeds, at most ten seconds, while the server lives.
await() {
  local tries=0
  until "$@"; do
    tries=$((tries + 1))
    kill -0 "$server" 2> /dev/null && [ $tries -lt 100 ] || { echo "the server did not start:"; cat "$here/server.log"; exit 1; }
    sleep 0.1
  done
}

# serve_vicar VICAR DIRECTORY ALICES_PASSWORD BOBS_PASSWORD: starts `vicar serve` and sets $url.
serve_vicar() {
  local vicar=$1 directory=$2
  printf '%s\n' "$3" | "$vicar" passwd "$here/passwords" "alice@$alice_ids"
  printf '%s\n' "$4" | "$vicar" passwd "$here/passwords" "bob@$bob_ids"
  "$vicar" serve "$directory" --state "$here/state" --password-file "$here/passwords" --insecure-http --listen 127.0.0.1:0 > "$here/server.log" 2>&1 &
  server=$!
  await grep -q 'http://127\.0\.0\.1:[0-9]' "$here/server.log"
  url=$(grep -o 'http://127\.0\.0\.1:[0-9]*' "$here/server.log" | head -n 1)/
}
