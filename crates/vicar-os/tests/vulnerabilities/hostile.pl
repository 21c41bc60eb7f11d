# A process of the client's own user that attacks the server's threads until its input ends. Says when it has been round.
# Arguments: the server's process, "all" or "quiet", then NAME=NUMBER of system calls.
use strict; use warnings; use IO::Select; use Time::HiRes qw(usleep);
my ($pid, $mode, @pairs) = @ARGV;
$pid += 0;
my %nr = map { split /=/ } @pairs;
my (%won, %failed); my $tries = 0; my $rounds = 0;
sub said { my ($what, $ok) = @_; $tries++; if ($ok) { $won{$what}++ } else { $failed{$what}{0 + $!}++ } }
sub call { my ($what, @arguments) = @_; $! = 0; my $r = syscall($nr{$what}, @arguments); said($what, $r != -1); return $r }
$| = 1;
my $input = IO::Select->new(\*STDIN);
until ($input->can_read(0)) {
    opendir(my $tasks, "/proc/$pid/task") or last;
    for my $tid (grep { /^\d+$/ } readdir $tasks) {
        $tid += 0;
        my $buffer = "\0" x 64;
        call('tgkill', $pid, $tid, 28);
        call('tkill', $tid, 0);
        $! = 0; said('kill', kill(0, $tid));
        call('rt_tgsigqueueinfo', $pid, $tid, 28, pack('i3x4x112', 28, 0, -1));
        call('ptrace', 0x4206, $tid, 0, 0);
        call('ptrace', 16, $tid, 0, 0);
        my $limit = pack('QQ', 1, 1);
        call('prlimit64', $tid, 4, $limit, 0);
        call('prlimit64', $tid, 7, 0, $buffer);
        my $here = pack('PQ', $buffer, 8); my $there = pack('QQ', 0x400000, 8);
        call('process_vm_readv', $tid, $here, 1, $there, 1, 0);
        call('process_vm_writev', $tid, $here, 1, $there, 1, 0);
        call('kcmp', $$, $tid, 0, 0, 0);
        call('move_pages', $tid, 0, 0, 0, 0, 0);
        call('get_robust_list', $tid, $buffer, $buffer) if $tid != 0;
        call('ioprio_set', 1, $tid, (3 << 13));
        for my $file ("/proc/$pid/task/$tid", "/proc/$tid") {
            for my $name (qw(mem environ maps smaps auxv stack syscall pagemap personality clear_refs io)) {
                $! = 0; my $f; said("read $name", open($f, '<', "$file/$name") && defined(sysread($f, my $x, 1)) && !$!);
            }
            for my $name (qw(mem clear_refs oom_score_adj comm uid_map gid_map setgroups loginuid attr/current coredump_filter timerslack_ns)) {
                next unless -e "$file/$name";
                $! = 0; my $f; said("write $name", open($f, '+<', "$file/$name") && defined(syswrite($f, "0")));
            }
            for my $name (qw(exe cwd root ns/user ns/mnt)) { $! = 0; said("link $name", defined(readlink("$file/$name"))) }
            for my $name (qw(fd fdinfo map_files ns)) { $! = 0; my $d; said("list $name", opendir($d, "$file/$name") && $name ne 'ns') }
        }
        if ($mode eq 'all') {
            call('setpriority', 0, $tid, 1);
            call('sched_setaffinity', $tid, 8, pack('Q', 1));
            my $zero = pack('i', 0);
            call('sched_setscheduler', $tid, 3, $zero);
        }
    }
    closedir $tasks;
    $! = 0; my $fd = syscall($nr{pidfd_open}, $pid, 0);
    if ($fd >= 0) {
        call('pidfd_send_signal', $fd, 28, 0, 0);
        call('pidfd_getfd', $fd, 0, 0);
        require POSIX; POSIX::close($fd);
    }
    $rounds++;
    print "round\n" if $rounds <= 100;
    usleep($mode eq 'all' ? 500 : 250_000);
}
for my $what (sort keys %failed) {
    for my $errno (sort keys %{ $failed{$what} }) { print "failed $what: $errno\n" }
}
print "won $_\n" for sort keys %won;
print "tries $tries rounds $rounds\n";
