#!/usr/bin/env bash
# One daemon on a sample vault in a scratch folder: add, edit a file, search, look back. Stops what it started (LEAVE=1: not).
set -euo pipefail
cd "$(dirname "$0")/.."

hmd=${HMD:-$PWD/.venv/bin/hmd}
scratch=$PWD/.demo
vault=$scratch/vault

# Only this demo's own daemon: nothing a person has set elsewhere counts.
for name in $(compgen -e | grep -E '^(HIVEMIND|AGENT_MEMORY)' || true); do unset "$name"; done
export HIVEMIND_DATA_DIR=$scratch/data HIVEMIND_VAULT=$vault HIVEMIND_LISTEN_ADDR=127.0.0.1:0

step() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
say() {
    local word line='$ hmd'
    for word in "$@"; do case $word in *' '*) line="$line \"$word\"" ;; *) line="$line $word" ;; esac; done
    printf '\033[2m%s\033[0m\n' "$line"
}
run() { say "$@"; "$hmd" "$@"; }

# Words that a file was given a moment ago are found as soon as the daemon has seen it.
found() {
    for _ in $(seq 100); do
        "$hmd" search --limit 1 "$1" | grep -qi "$2" && return 0
        sleep 0.1
    done
    echo "the memory \"$2\" was not found" >&2
    return 1
}

stop() {
    if [ -n "${LEAVE:-}" ]; then return; fi
    step "Stopping what this started"
    run down || true
}

if [ -d "$scratch" ]; then "$hmd" down >/dev/null 2>&1 || true; rm -rf "$scratch"; fi
mkdir -p "$vault"
cat > "$vault/billing-service.md" <<'NOTES'
# billing-service

## 2026-01-12 09:30:00 UTC

Moved the billing service to the new cluster. The missing piece was the TLS secret of the payment gateway. #deploy

## 2026-01-19 16:05:00 UTC

Invoices are rounded half to even, never half up: the auditors insist.

NOTES
cat > "$vault/people.md" <<'NOTES'
# people

## 2026-01-08 18:00:00 UTC

Melanie paints on Sundays and is allergic to nuts.

NOTES

trap stop EXIT
step "A daemon on the two files in $vault"
run up
run status

step "An agent adds a memory; it is in its file at once"
say add --topic people --agent demo "Caroline prefers short stand-ups before ten."
added=$("$hmd" --json add --topic people --agent demo "Caroline prefers short stand-ups before ten.")
id=$(printf '%s' "$added" | sed -n 's/.*"id": *"\([a-z2-7]*\)".*/\1/p' | head -n 1)
run show people

step "A person edits a file in any editor; the daemon has it at once"
printf '## 2026-02-02 11:00:00 UTC\n\nThe nightly export moved to 03:15, after the backups.\n\n' >> "$vault/billing-service.md"
found "nightly export" "03:15"
run search --limit 2 "when does the export run"

step "Found by meaning, not only by words"
found "who must not eat almonds" "allergic to nuts"
run search --limit 1 "who must not eat almonds"

step "A memory has a history: the person corrects the agent's in the file"
sed -i.old 's/before ten/before nine/' "$vault/people.md" && rm "$vault/people.md.old"
found "stand-ups Caroline" "before nine"
run history "$id"

step "How to go on"
cat <<END
  $hmd up --vault ~/notes        on a folder of your own
  $hmd search "..."              from any shell
  $hmd mcp                       for an agent: the command of an MCP server over stdio
  $hmd --help                    all commands
END
if [ -n "${LEAVE:-}" ]; then
    cat <<END

The daemon of this demo is still running. To use it, and to stop it:
  export HIVEMIND_DATA_DIR=$HIVEMIND_DATA_DIR HIVEMIND_VAULT=$HIVEMIND_VAULT
  $hmd search "billing"
  $hmd down
END
fi
