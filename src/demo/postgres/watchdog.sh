# Runs a server for exactly as long as the other end of our standard input is open.
# $1: the server's folder, removed at the end. The rest: the server's command line.
# The process that started us holds the other end; however it dies, kill -9 included, the system closes it.
folder=$1
shift
cd / || exit 1
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
(
    while read -r _ <&3; do :; done
    [ -e "$folder/exited" ] || kill -QUIT "$server"
) 2>/dev/null &
watcher=$!
exec 3<&-
wait "$server"
echo "$?" >"$folder/exited"
wait "$watcher"
rm -rf "$folder"
