#!/usr/bin/env bash
# A quarter of an hour on a borrowed GPU: `bench`, ranks against a CPU's, the tests marked gpu, and as many missing records
# as fit, in one command.
#
#   gpu-quarter.sh pack [DATA]       at home, in the checkout's root: makes the ignored folder .gpu/ that travels along
#   bash .gpu/gpu-quarter.sh run     on the GPU machine, in the copied tree: ends by itself after QUARTER_SECONDS
#   gpu-quarter.sh take FOLDER [RESULTS]   at home: the records that came back, merged into results/ after `merge`'s checks
#
# Run again with QUARTER_SECONDS=N on the same machine, it goes on where it stopped: checkpoints stay in $STATE there.
#
# Environment of `run`: QUARTER_SECONDS (550: all of it, the end included), WORKERS (3 runs at a time; 6 with MPS),
# MPS=1 (the runs share the GPU through NVIDIA's MPS, if it is there), STEPS ("bench ranks tests records"), DEVICE (cuda),
# THREADS (4 a run), JOBS (a file of jobs: DATASET MODEL SEED FIELD=VALUE...), STATE, OUT. PYTHON, in all three: the interpreter.
set -uo pipefail
python=${PYTHON:-python3}
self=$(readlink -f "$0")

now() { date +%s; }

# --- here, before -----------------------------------------------------------------------------------------------------

# What is wanted, the most wanted first (issue "Every row right and run", section 4); a run whose record lies in results/ is
# left out when the list is packed. GRU4Rec is not among them: its small steps take no less time on a GPU than on a CPU.
wanted() {
    local file=diginetica-file-order time=diginetica small=yoochoose1_64 data seed one
    for one in encoder=global encoder=local decoder=fully-connected hidden=50 "encoder=global hidden=50" "encoder=local hidden=50"; do
        echo "$file narm 0 $one"
    done
    for one in hidden=50 "encoder=global hidden=50" "encoder=local hidden=50"; do echo "$small narm 0 $one"; done
    for data in $small $file $time; do
        for one in stamp sr_gnn sasrec core; do echo "$data $one 0"; done
    done
    for seed in 1 2; do
        for data in $file $time; do echo "$data narm $seed"; echo "$data improved_gru_rec $seed"; done
    done
    for seed in 1 2; do
        for one in encoder=global encoder=local decoder=fully-connected; do echo "$small narm $seed $one"; done
    done
    for one in validation=sessions "cell=authors attention_sigmoid=hard" attention_query=none truncation=last; do
        echo "$small narm 0 $one"
    done
}

pack() {
    local data=${1:-../shared/data} commit
    [ -f reproduce/__init__.py ] || { echo "gpu-quarter: run pack in the root of a checkout" >&2; exit 2; }
    grep -qx '/.gpu/' "$(git rev-parse --git-path info/exclude)" 2> /dev/null || echo '/.gpu/' >> "$(git rev-parse --git-path info/exclude)"
    rm -rf .gpu && mkdir -p .gpu/data/yoochoose1_64 .gpu/data/diginetica .gpu/site
    cp "$self" .gpu/gpu-quarter.sh
    cp "$data"/yoochoose1_64/{all_train_seq.txt,test.txt} .gpu/data/yoochoose1_64/
    cp "$data"/diginetica/{all_train_seq.txt,test.txt,item_order.txt} .gpu/data/diginetica/
    # Pure Python, in case the machine lacks it.
    cp -r "$("$python" -c 'import os, tabulate; p = os.path.dirname(tabulate.__file__); print(p if p.endswith("tabulate") else tabulate.__file__)')" .gpu/site/
    # The commit and its trees without the files, a few KiB, so that records name the commit they were made from.
    commit=$(git rev-parse HEAD)
    echo "$commit" > .gpu/commit
    git rev-list -1 --objects --no-object-names --filter=blob:none "$commit" | git pack-objects -q .gpu/trees > /dev/null
    { wanted | "$python" -c '
import sys
from pathlib import Path
from reproduce.runs.experiment import Experiment
for line in sys.stdin:
    data, model, seed, *fields = line.split()
    path = Experiment.of(data, model, dict(one.split("=", 1) for one in fields), int(seed)).path
    if not Path("results", path + ".json").exists():
        print(data, model, seed, *fields)
'; } > .gpu/jobs || exit
    [ -z "$(git status --porcelain --untracked-files=no)" ] || echo "gpu-quarter: the checkout has changes: records will say so" >&2
    echo "$(wc -l < .gpu/jobs) runs wanted; .gpu has $(du -sm .gpu | cut -f1) MiB, the tracked files $(git ls-files -z | du -cm --files0-from=- | tail -n 1 | cut -f1) MiB; 64 may travel"
}

# --- there --------------------------------------------------------------------------------------------------------------

set_up() {
    mkdir -p "$out" "$state"/{runs,logs,done} || exit
    export PYTHONPATH=$PWD:$PWD/.gpu/site PYTHONUNBUFFERED=1 MPLBACKEND=Agg OMP_NUM_THREADS=${THREADS:-4} REPRODUCE_CACHE=$state/cache
    unset REPRODUCE_DATA
    # Blobs are not needed to compare files with a commit: their names are in its trees.
    if [ ! -e .git ] && [ -s .gpu/commit ] && command -v git > /dev/null; then
        git config --global --add safe.directory "$PWD"
        git init -q . && mv .gpu/trees-*.pack .git/objects/pack/ && for one in .git/objects/pack/*.pack; do git index-pack "$one" > /dev/null; done
        cp .gpu/commit .git/shallow && cp .gpu/commit .git/HEAD && git config core.fileMode false && git reset -q
        echo "commit $(git rev-parse HEAD), changed: $(git status --porcelain --untracked-files=no -- . ':!results' | wc -l)"
    fi
    { date; timeout 20 nvidia-smi; "$python" --version; nproc --all; df -h "$state"; } > "$state/logs/machine.txt" 2>&1
    timeout -k 5 120 "$python" -c "
import sys, torch, tabulate, reproduce.catalog
there = torch.cuda.is_available()
print('torch', torch.__version__, 'cuda', torch.version.cuda, 'cudnn', torch.backends.cudnn.version(), there and torch.cuda.get_device_name())
sys.exit(0 if there or sys.argv[1] == 'cpu' else 'no CUDA device')
" "$device" >> "$state/logs/machine.txt" 2>&1 || { cat "$state/logs/machine.txt"; exit 3; }
    tail -n 1 "$state/logs/machine.txt"
}

start_mps() {
    [ "${MPS:-0}" = 1 ] || return 0
    command -v nvidia-cuda-mps-control > /dev/null || PATH=$PATH:/usr/local/nvidia/bin
    command -v nvidia-cuda-mps-control > /dev/null || { echo "MPS is not here"; return 0; }
    export CUDA_MPS_PIPE_DIRECTORY=$state/mps CUDA_MPS_LOG_DIRECTORY=$state/logs
    mkdir -p "$CUDA_MPS_PIPE_DIRECTORY"
    if timeout 20 nvidia-cuda-mps-control -d && timeout -k 5 60 "$python" -c "import torch; assert torch.ones(9, device='cuda').sum().item() == 9"; then
        mps=1; echo "MPS serves"
    else
        stop_mps; unset CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY; echo "MPS does not serve: without it"
    fi
}

stop_mps() { echo quit | timeout 10 nvidia-cuda-mps-control > /dev/null 2>&1; mps=; }

bench() {  # alone on the machine, so that its times mean something; a rehearsal on a CPU measures a model that counts
    local model=narm
    [ "$device" != cpu ] || model=pop
    timeout -k 5 "$(least 90 $(((deadline - $(now)) / 3)))" "$python" -m reproduce bench --model $model --device "$device" > "$out/bench.txt" 2> "$state/logs/bench.err"
    echo "bench: exit $?"; cat "$out/bench.txt"; tail -n 3 "$state/logs/bench.err"
}

ranks() {  # how many ranks move between this device and its CPU: from the same weights, and from two short fits
    timeout -k 5 "$(least 90 $(((deadline - $(now)) / 2)))" "$python" -c '
import sys, torch
from reproduce import catalog
from reproduce.evaluation.ranking import rank_all
device, folder = sys.argv[1:]
def fitted(split, where, **fields):
    small = {"hidden": 10, "embedding": 10} if device == "cpu" else {}  # a rehearsal
    model = catalog.make_recommender("narm", {**small, **fields})
    model.fit(split.train, seed=0, device=where)
    return model
def moved(split, one, other):
    (a, b), (c, d) = (rank_all(model, *split.test.prefixes()) for model in (one, other))
    return f"{int(((a + b) != (c + d)).sum())} of {len(a)} ranks move"
name = "yoochoose1_64" if device != "cpu" else "synthetic"
split = catalog.load_split(name, folder)
there = fitted(split, device, epochs=1)
ranks = rank_all(there, *split.test.prefixes())
there.network_, there.device_ = there.network_.cpu(), torch.device("cpu")
again = rank_all(there, *split.test.prefixes())
count = int((sum(ranks) != sum(again)).sum())
print(f"{name}, the same weights on {device} and on the CPU: {count} of {len(ranks[0])} ranks move")
split, still = catalog.load_split("synthetic", folder), {"epochs": 2, "embedding_dropout": 0.0, "session_dropout": 0.0}
told = moved(split, fitted(split, device, **still), fitted(split, "cpu", **still))
print(f"synthetic, two epochs on {device} and on the CPU, without dropout: {told}")
' "$device" "$folder" > "$out/ranks.txt" 2> "$state/logs/ranks.err"
    echo "ranks: exit $?"; cat "$out/ranks.txt"; tail -n 3 "$state/logs/ranks.err"
}

tests() {  # beside the records
    local two=()
    "$python" -c 'import xdist' 2> /dev/null && two=(-n 4)
    timeout --foreground -k 5 "$(least 240 $((deadline - $(now))))" "$python" -m pytest -m gpu "${two[@]}" --durations=15 -rfE --tb=short -p no:cacheprovider \
        tests/test_as_cuda.py tests/test_narm_on_cuda.py tests/test_contract.py > "$out/tests.txt" 2>&1
    echo "tests: exit $? ($(tail -n 1 "$out/tests.txt"))"
}

least() { local a=$1 b=$2; [ "$b" -lt "$a" ] && a=$b; [ "$a" -lt 1 ] && a=1; echo "$a"; }

next_job() {  # the next line of the list, each to one worker only
    (
        flock 9
        n=$(cat "$state/next" 2> /dev/null || echo 0)
        line=$(sed -n "$((n + 1))p" "$list")
        [ -n "$line" ] || exit 1
        echo $((n + 1)) > "$state/next"
        echo "$line"
    ) 9> "$state/next.lock"
}

worker() {
    local line data model seed fields name left code begun one
    while [ $((deadline - $(now))) -gt 15 ] && line=$(next_job); do
        read -r data model seed fields <<< "$line"
        name=$(echo "$line" | tr -c 'A-Za-z0-9._\n-' '_')
        [ ! -e "$state/done/$name" ] || continue
        local set=()
        for one in $fields; do set+=("$model.$one"); done
        left=$((deadline - $(now)))
        begun=$(now)
        # --minutes takes whole minutes only; TERM at the deadline ends a run to the second, and its last checkpoint stays.
        timeout --foreground -k 5 "$left" "$python" -m reproduce run --dataset "$data" --model "$model" --seed "$seed" ${set[@]+--set "${set[@]}"} \
            --device "$device" --data "$folder" --results "$state" --minutes $(((left + 59) / 60)) \
            > "$state/logs/$name.txt" 2>&1
        code=$?
        [ $code != 0 ] || touch "$state/done/$name"
        echo "$code $(($(now) - begun))s $line: $(tail -n 1 "$state/logs/$name.txt")" | tee -a "$state/logs/events.txt"
    done
}

save() {  # what is there so far, so that a command that is ended from outside brings it back too
    local part
    (
        cd "$state" && rm -f .part-*
        find runs -name '*.json' -print | sed 'p; s/json$/npz/' | sort > .list  # a record is whole when its .json is there
        [ ! -s .list ] || tar -cf - -T .list | split -b 15M -d -a 1 - .part-
    )
    for part in "$state"/.part-[0-3]; do [ ! -e "$part" ] || mv "$part" "$out/records.tar.${part##*-}"; done
    tar -C "$state" -czf "$out/logs.tgz" logs 2> /dev/null
}

alive() { local child; for child in ${children[@]+"${children[@]}"}; do kill -0 -- "-$child" 2> /dev/null && return; done; return 1; }

finish() {
    local child
    trap - EXIT INT TERM
    for child in ${children[@]+"${children[@]}"}; do kill -TERM -- "-$child" 2> /dev/null; done  # each leads a group
    for _ in 1 2 3 4 5 6; do alive || break; sleep 1; done
    for child in ${children[@]+"${children[@]}"}; do kill -KILL -- "-$child" 2> /dev/null; done
    [ -z "$mps" ] || stop_mps
    save
    {
        echo "$(find "$state/runs" -name '*.json' | wc -l) records, $(find "$state/runs" -name '*.checkpoint' | wc -l) begun, after $(($(now) - began)) s"
        echo "exit status, seconds, run: last line"
        cat "$state/logs/events.txt" 2> /dev/null
        find "$state/runs" -name '*.checkpoint' -printf 'begun: %P\n'
    } > "$out/summary.txt"
    tail -n 60 "$out/summary.txt"
    ls -l "$out"
}

quarter() {
    began=$(now); mps=; children=()
    out=${OUT:?}; state=${STATE:-$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)/gpu-quarter}; device=${DEVICE:-cuda}
    folder=${DATA:-.gpu/data}; list=$(readlink -f "${JOBS:-.gpu/jobs}")
    deadline=$((began + ${QUARTER_SECONDS:-550} - 15))  # 15 seconds to end the runs and pack what they made
    steps=" ${STEPS:-bench ranks tests records} "
    set_up
    trap finish EXIT
    trap 'exit 143' INT TERM
    rm -f "$state/next"  # a run that was stopped comes again, and goes on from its checkpoint
    [[ $steps != *" bench "* ]] || bench
    [[ $steps != *" ranks "* ]] || ranks
    set -m  # each child leads a process group of its own
    [[ $steps != *" tests "* ]] || { tests & children+=($!); }
    if [[ $steps == *" records "* ]]; then
        start_mps
        for ((i = 0; i < ${WORKERS:-$((${mps:-0} ? 6 : 3))}; i++)); do worker & children+=($!); done
    fi
    for ((i = 1; $(now) < deadline; i++)); do
        alive || break
        sleep 1
        [ $((i % 30)) != 0 ] || save
    done
}

# --- here, after --------------------------------------------------------------------------------------------------------

take() {
    local came=${1:?the folder that files_at names} results=${2:-results} into
    into=$(mktemp -d)
    cat "$came"/records.tar.[0-9] | tar -xf - -C "$into" || exit
    "$python" -m reproduce merge "$into" --results "$results" && rm -r "$into"
}

case ${1:-} in
pack) shift; pack "$@" ;;
run) quarter ;;
take) shift; take "$@" ;;
*) sed -n '2,13s/^# \{0,1\}//p' "$self"; exit 2 ;;
esac
