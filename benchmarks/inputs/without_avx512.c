/* Preloaded into a process, hides AVX-512, VNNI and AMX from it: what asks the processor sees one with plain AVX2.
 *
 * Linux can make CPUID fault where the processor allows it (arch_prctl(2), ARCH_CPUID). The handler asks in the process's
 * stead and clears bits of leaf 7. Threads and forks inherit the fault; a program that replaces the handler of SIGSEGV
 * (Java does) ends with that signal at its next CPUID.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define ARCH_SET_CPUID 0x1012
#define BIT(n) (1u << (n))

/* Leaf 7, subleaf 0: every AVX-512 extension in EBX, ECX and EDX, and AMX. */
static const uint32_t EBX_70 = BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31);
static const uint32_t ECX_70 = BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14);
static const uint32_t EDX_70 = BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25);
/* Subleaf 1: AVX-VNNI, AVX512-BF16, AMX-FP16, AVX-IFMA; AVX-VNNI-INT8, AVX-NE-CONVERT, AVX-VNNI-INT16, AVX10. */
static const uint32_t EAX_71 = BIT(4) | BIT(5) | BIT(21) | BIT(23);
static const uint32_t EDX_71 = BIT(4) | BIT(5) | BIT(10) | BIT(19);

static long allow_cpuid(long allowed) { return syscall(SYS_arch_prctl, ARCH_SET_CPUID, allowed); }

static void answer_cpuid(int number, siginfo_t *info, void *context) {
    (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const uint8_t *instruction = (const uint8_t *)registers[REG_RIP];
    if (instruction[0] != 0x0f || instruction[1] != 0xa2) { /* a real fault: let it end the process */
        signal(number, SIG_DFL);
        return;
    }
    uint32_t leaf = (uint32_t)registers[REG_RAX], subleaf = (uint32_t)registers[REG_RCX];
    uint32_t eax, ebx, ecx, edx;
    allow_cpuid(1);
    __asm__ volatile("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(leaf), "c"(subleaf));
    allow_cpuid(0);
    if (leaf == 7 && subleaf == 0) {
        ebx &= ~EBX_70;
        ecx &= ~ECX_70;
        edx &= ~EDX_70;
    } else if (leaf == 7 && subleaf == 1) {
        eax &= ~EAX_71;
        edx &= ~EDX_71;
    }
    registers[REG_RAX] = eax;
    registers[REG_RBX] = ebx;
    registers[REG_RCX] = ecx;
    registers[REG_RDX] = edx;
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void hide_avx512(void) {
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_NODEFER};
    action.sa_sigaction = answer_cpuid;
    sigaction(SIGSEGV, &action, NULL);
    if (allow_cpuid(0) != 0) {
        fputs("this processor or kernel cannot make CPUID fault (no cpuid_fault in /proc/cpuinfo)\n", stderr);
        exit(1);
    }
}
