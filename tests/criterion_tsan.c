/* criterion_tsan.c - BoxFort maps memory at addresses that ThreadSanitizer forbids; it draws them from
 * rand_r(), so a rand_r of ours keeps them where they are allowed (Criterion issue 274). */
int rand_r(unsigned *seed);
int rand_r(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return (int)(0x350000 + ((*seed >> 8) % 0x17000));
}
