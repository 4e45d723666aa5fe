"""The official order of the CIFAR-10 test set: the class of each of its 10,000 rows.

With it a copy whose rows were shuffled is recognised, and a folder whose files are numbered within
their class gets back the numbers of the published order.
"""

from __future__ import annotations

import base64
import re
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from shifts.errors import CorruptDataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shifts.data import Examples

ID = re.compile(r"test-(\d{5})")
DIGITS = 19  # decimal digits, one a label, in each 64-bit number of the table


@cache
def official_test_labels() -> NDArray[np.int64]:
    """int64 (10000,): the label of each test image in the published order.

    Source: the published test labels as kept by cleanlab's label-errors project
    (``cifar10_test_set_original_labels.npy``).

    >>> official_test_labels()[:8].tolist()
    [3, 8, 8, 0, 6, 6, 1, 6]
    """
    numbers = np.frombuffer(base64.b85decode("".join(_TABLE.split())), dtype=">u8").tolist()
    digits = "".join(f"{number:0{DIGITS}d}" for number in numbers)[:10_000]
    return np.array(list(digits), dtype=np.int64)


def official_numbers(examples: Examples) -> NDArray[np.int64]:
    """Which of the 10,000 test images each example is, int64 (N,), by its id.

    Raises:
        CorruptDataError: the copy does not say, or its labels are not the official ones.
    """
    found = [ID.fullmatch(name) for name in examples.ids]
    numbers = np.array([int(one[1]) for one in found if one is not None], dtype=np.int64)
    known = official_test_labels()
    whole = len(numbers) == len(found) and bool((numbers < len(known)).all())
    if not whole or not np.array_equal(known[numbers], examples.labels):
        raise CorruptDataError(
            "the copy does not say which of the 10,000 CIFAR-10 test images each of its images is, and other "
            "labels are found by that",
            hint="a copy in the official order: cifar-10-batches-py, cifar-10-batches-bin or the Hub's",
        )
    return numbers


_TABLE = """
HQM1ZUi14hT@1#tHUd;BgnTlXNtrZnXQ5}NRE42Jftnx4^?-gjTbhq8<e&ad5*fNT6EF&*ezQ=(NL67;Q&$*XThwKpilbvXPW_Xl
P=n#E7dyJ)hd{07O%p&|YA@!<bgoJ#fCn?+_kc8<B1j77fjCT3er3*9!u4TDRm*v)2|wysFKv(~{U+LWBjIjYQ?ix`P{OtdFVHvg
U*fnQ(99a9H&@SM%Kxo%Gx+RNpO@O4Nwz$=(bu6eF*oYfiNs^=X^b8J`@pjq83MPJ&btf76<d0$lIkdugu{Mk$b@6xQBeQEMH|~N
T`Rs^(#LBAhJzKqhgVF?Hy7S1cEBv3Jv^7{ebtAjFVKM?qad+Mdx!rI*UHYohLA96nZ_WDc~w>8+s?;yag52;xlKcKVnAW%5!r&p
GRtBq`!yL<QXk3RZ0hmCWa)Q=np#CUQ2t=-;@FGc5%8W|frQ%<YWKxvI~{A5HB#QwI&5tdRM=V7KeW(Q1(F0(u_~d|AWQeO{KjuO
Hu?BcBSR7ciTSUOFs~mM8~M4Kd^Yckd|O}X+vgz@0PC!h&uyYeNK(1dLgjKyf>URuJb{-DBT!ul$Y~xfa918Hy4&KDH8aS-i=RDW
RoR#Ep=QuCdO8`xShxtUSL3#OBRDFS3l*R`ThL<Rb-g(72}|l_Paoe2o(4i1B9;PBlW^9cSL;Bhq<OkaJ}$rY$wk+&cb<5`0*iv5
Cm9^8lpt+xb(6K=Ovnb}HUJc2?WbZ{grH7q6HX%=h$NOqWO3;MLX^!9rnXR`5-68{aOro<0=!?w0tqO*cj`!=ekWul9~y^{KhiYF
Yk6lk`(E<@Cw*kukd#{(KY$-qC?p#jP0fs|i&{v11n_3KiO_FVYW7|{66qhUUBFpXGzX?!iislF&F;BmR;`tuW(HO?d=#QYkO`br
IRdE=`G&Vzb!E!tEB~*V1L#y*?^>%;9>rmCIvFZr5_iR?11KiJaXool@@~{NfZ6UTg|HUZe1zKc<FYx+O=yg-Y@r~Pe$O|Ub8%Jg
b@q>jK0S&qI-=z22ILg~cqH0hmfUG$G5?i24R$rsO*a!9G&me4AxS+M%|=~_b$cXHEo<ARAk+&lKV{Fcch{rWQ(m=>g^9gMNz{QA
8~hFta_7y40YhV@GKWB5L>d4MtHC@>ZkeHiw-Qw#3WdS?RP{`m4Nw@?8yrIPga(Pg;|^8Eackk`*TdU>Axg+%UI+8~EkOR)$>|*z
Kg1w^i2A|WSGF65hZ*-5CNWy!c*0U|Y1qFAYz!aiacfwD;Ul>`3XkiZ<?z#kT{D@Y*mg@2KVW*N&5IvyiF=v~P?Ga;ay-+Oy^lPt
Z1XJ|EV8<ED*?B$`dODkR<<i)LHfAyd;`j-HlsS^bg83gK<awtEf&oZ2ry;2SZF#~NAvSg3$t_~!$WoE2D2pg5o_?%LBTn8*sKW*
F1vRdqDrdf02;#wO+wk!Fm(D*<suEa2aG0{H}pFkdbO-(E2=PCQVBr)C@zK3AooB3uPry;eQYF3@*>y_0hCA>Z4YELE!(*FC)$W&
OIrSHJAVUHLk^|zoJN)DYo@hS#nwi}hPo_E@dQJ%h$@4jsXGX_ZP?V@qqN+63D5T{7_QDNNOeUtRk`{zWP7UZij0}Bc_<Yk#2|MU
XWukSCRT)XP%|ylO?-SsdS(veiO<bH2G3V1B4CE4VhSDW#a3heXMrlvMmg4_iC}1n8Z5*`f9a3)&y)r(NU1Iesz7^_38^;Jb{FhF
F5*<#0EmXlEi2lPo;+8<P)j+frRegAQxNItq6itiQtDGFn21!}S<-?igV*^dhfDy$Kp|WqBCUYziA%(JC-IDfcs8Y0B7ZWvD@pq@
Maa^uDpMR^I$$Fi>vb$jQXWDaZqd;2Sw+g6jpn+VMe<?Oj@3Yrd%Ib5y^GugBF_t-M1+;l5HZ@MiWGw<EhfHdPIW_NT}`sA(19t9
M*VEW47dqz82_LixC4aCWlzzKqt)h%Nc|>~KX7@}d{F1)y!lOCb$AKyQu^61R^4xjRjPi4FK-8v!tzdr86XXo@Bfa*92}#SR(cVo
fW$Gx`nZL`D$Jw$t9JBj70FInUU}cU8GxPt<#NUvXMXtZr3NwW7oBSae6{ckK5F%Yoxra|R<UUepL`SzLF~^n(3!2>3l*7zqvldL
I$_hKT(s0ICVWx`(PQC41;89i3*;hwKMnHl$r#YqRoL6Cq?%BFdhAw>yn-mm3M~mWt)yT$3^<RN@+ATeb~f0lH&zshQ<23Z3Jpk1
0L(KLGVm%WbhjQwUk~pbeSXMvXO}ix6?!3dtTf%Fc#3}{k$)stQc;#X8x%@Q0Y814$T?@z0$07loPk*+YiYOj<w|YTbRCjOaQdZc
aEzo5unU^Hc5|-XRMjg53~pl9qu`j1CnnSFpJuo*0In%d(FxAYRWs+SR<r~9Jk>V;+f7g%VYtUR&dMuCA>Gg^)PrLkASlTKGEuMN
60-*qmqLngTp^M#xlFX{8IZ252mK`4FDHOh#kxZYbOn_?WzYfVZlGQ61V7O9FgbvY)U+`iLTSE`Xj{JTIo_T1LPI}VJ1?%xZWebI
X{2F<C!1q&dzlM*3u$YxU<GuSJMoscb3#wb`rJIjHo%f-JlU1sHBZtHL+tBEHXK-)QB#LDA)+y?tCxNTJEQ!5B2$jbMt3OF7(bAP
Tw)4I%m{kGXWBMwY&|az8itCQbv};!Fws+BU?1WLU5~M4GiqM$MRW|;hzGeZeG!u{1u=otZ|v<LmT+DYennT_kIOGETO_ZbPVf>`
P2;UG5E<ZMS~I969&tC6Wi!<>f|(4%LY{4v#A#KQHDy&?ir;O_0sb8<_)xm}9y!Dz1fH}wcd*;~9|1O_J?jlafLl@XVe%QwIBvsn
V;b_Y)Cc{J1ssiEpxDmV7k|4lcf|M)M_HKji4fe%8<P2g7Uxe|M61Qy+VZD)UDD>3`;gSg9S5-4nk*0;6!y>14Z1%q15&L8SQ#q4
Jpz>+qV(D0F7w1#2q3V4cEXPSN4pE3T@3^5s_+`%Z+QYMsMBkEG*Cia!W)vR6!aYV*d?{iPuyUGHg(X3dj3~F$CZCRF@YPiYPMq5
E?bnX!|G&hC_ih$ZI>M5A7WHH)svFgL*@#wn1XKYQG=O_L5Y<wXvcEk%8rT<bM9qhJ{&!1F&bQ$k>^UWF*=bN=c|>OU6hRKUW8U6
D&Y_iN0$U$5sfTxUK$k|Yn@ST04k~iMp+G{G}BgfiFOS7Nw38DJUU$n_|*;6X2_F!ryyF^Nef8;8QDqeTS|Ad_Lzmi1rnY;_jjKk
4d_5BG@35>W7O7j1Ns=-0v-sA5O1L4Ax;CcfzuQKedC1>OP5!XHhV?3%joYV55Ou5BIn5;Fz$fTwRQsJCWg~p-xZAh5owZukkgZu
Bx5w2%#Xl$in;~xda~h+K$Fz15I*LaH@o8Uz^f6}a3SwOZU&t*Z0V00aE5+IXwb=7=qP%aL1?bY6MFrCKbHF@6;C%&PM3%*L|aml
FH9rO&tEuSH=ZoAR_7?TLObijNMcaRY1YDbzKvSD6<4lvm$e!<8c^pSlC+hJ1t^0be4<X<CoSWKsIe_XZ3{dd5MV~XYV22A`y!d$
2%IUw&e;xhN?@5l9)6LL8OuzBOsmNF9{&DX6>LR5G8|n^uUT9FWeXsFGBli2QJz%fDC<6dHvu^HQ}<MYK^kJ?2CmZy20#NG5YZCW
e!6S*2?9dRD$+y&;rOSTM;LMy;-DYufnwGR6DXziKy=KMJCe#$ZpsrTfoo#aYsnJz-1SW>H%S`(nzjv_KH;fGyRhyEYYRcM!l}fH
Z?H+z0|d5?CrU6WKrdM(9KhI{bZ?EBZ9yz%9fmqraw5fLujseEMlPxkRXzi#b3u99c{%RuQ%Zr8j6j1X2_mSymo^-dJZ`$A1rhK;
f<|+_%GkSZI8Ep!0=cgwOEH1SpXnS^KPv9tam&5yd?(>LlI-Q70!O9*K@{{@OSzh<#0NFAZ~)QYM{W#|Mb*0j#mAeLLsL1FZ~NnX
Ke={K)`)g+NrZ-!*lX?zeJfb2d^7k~Usc0PT_dyh50`k}7(GUwXR|ukWRQcxHWO9F%bMlXeY9D}z7zC9DPkOvXb1;Vga8(q#OlCu
dWTzGO~g~bO^}g<JHi*%8@fXI^;2OXCEKDXC=6IeB}cC318&|QZ@R(ct)@FCE5Xah_f}Y$0sJI}{9UuTiGIJ%JE}T4AbLW3MNuKU
c(;7Ln6&Pq2wV(e>n1B<NPB8M>eb3_X8BVu@GnKRS?|BHdoZc@G$bOd3Z-!g5^5xfc4q>lfh3Pk_#8_iex`qdK&4-1F3R`o<Ihq<
G3u246hRe8U;I9dY4;O&bO{dF231L17Ge>XNIken8u<^p{wNvac|rhHx!&f>5f$KWS$+QLSVFe=^!9G=dk;h{kUiT>ddkJgUb1wz
PJ7DnHYmp#b$Z$*j$d(Iao_@Bz^!gRZCr`D1LL++cY>+#^V9rn2L&*g<)U4ODOLAbCE;{&aSiFxAE!IUM2Mt*Rb1c6RW56pc?#${
Y_pF$>M2(-d>p%~g`kJpK7JP-*|DMK8UG2R)I?sfPh5ZHu4`4K6Uraak@k0{L=*hIlvyW29Z9!VD*Jb6ihJX_YURbObR35qqmrQ4
8R;AYdMwS)T$1P_PTRh3T1o(QL=z;Pdj8E<xTEY77^?^skdux45jnSuuCH5PNu1TcX7jQ2Wd@|8mR0R`2EjAQJTy>pUBy&yPeY~8
9%TH=nvER+Y+lryWEJVoGyZtp>s;9Ng<m<(o8i_GXC0*r>HRvKX7YC!@|4}+JrX9vLX)B1P&zXM_Tv<(cU(sKb*yvkK0U|~a&=IZ
Hw=|{_@x25Zp@Y$n5afDdN`E%fk%<B9~sZ;1UoG^Rutdp;lX8$Qm~Lhh}T<j8_(Z6ffU{IVvj>^ip!b_C#_P!5#|>MdB&A*xGi%K
FA~_z9WRu*L9#My5x&}^d`h0#$;t;jet!fam~>F00r1V!6CGjgPX!yO|4CR*9UYC8M}n?*CFKYKM<->50XssZ?eJhObUx!cANGS!
G3|jKEcLTGXUhVAk^~OIQo2IrMdhf9e;V0QQL-9aIdAX&EXQ1(cH{E9={~=#Bw|ouxQ$rcP;H5?ev~H)DB-Rn3i@VD8^jOtjgWg%
h8U88GszM6ew|hP0dXpVZ^isrEAjAhMW-(A6EM?tDim|_gr8PFXvQ_zQ@CBcTxOrE#o8~}0&^l&d0@|zPK9?H7w|usY&|Ljb2YQE
K`ZCQ5jlB}3R$X~=XA(WA}&5{TE{7z1Tik8<vZpa1Kl{2#h1TaczcfJBq1x2NlITPcFll5M-QhjL)x7jReS?lCP7d<SYR4=Q$#f3
ZQ@k*apRU5Y{4@!WoRLUOUK)VeL2Q@M8L*x4b^Mx0Y|SD9{;A<XyEW7@N12mH911dpFAJ{
"""
