/** The look of the page: light and dark by the reader's system, narrow and wide, and on paper. */
export const style = `
:root{color-scheme:light dark;
--page:light-dark(#f5f6f8,#0f1318);--card:light-dark(#fff,#171c23);--line:light-dark(#dde1e7,#2b333e);--soft:light-dark(#eef0f4,#1f262f);
--text:light-dark(#1a2028,#e4e8ee);--quiet:light-dark(#5a6573,#98a4b3);--link:light-dark(#0b57b0,#7db4ff);
--good:light-dark(#176a3a,#62cf91);--good-bg:light-dark(#e3f4ea,#15301f);--warn:light-dark(#7a5000,#f0be5a);--warn-bg:light-dark(#fdf1d7,#35290f);--bad:light-dark(#a81e1e,#ff8f87);--bad-bg:light-dark(#fde8e7,#3c1817)}
:root[data-theme=light]{color-scheme:light}
:root[data-theme=dark]{color-scheme:dark}
*{box-sizing:border-box}
[hidden]{display:none!important}
html{scroll-padding-top:4.5rem}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
code,pre{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:.87em}
a{color:var(--link);text-decoration:none}
a:hover{text-decoration:underline}
:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:4px}
h1,h2,h3,h4,p,ul,ol,dl,pre{margin:0}
h1{font-size:1.45rem;line-height:1.25}
h2{font-size:1.1rem}
h3{font-size:.98rem}
h4{font-size:.92rem}
ul,ol{padding:0;list-style:none}
small{font-size:.85em;color:var(--quiet)}
.wrap{max-width:74rem;margin:0 auto;padding:0 1.25rem}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.skip{position:absolute;left:-99rem}
.skip:focus{left:1rem;top:.5rem;z-index:3;background:var(--card);padding:.3rem .6rem}
.quiet,.n,.ns{color:var(--quiet)}
.n{font-weight:400}
header{padding:1.5rem 0 1rem}
header .wrap{display:flex;gap:1rem;align-items:start;justify-content:space-between}
header p{color:var(--quiet)}
button{font:inherit;font-size:.87rem;color:var(--text);background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.3rem .7rem;cursor:pointer;white-space:nowrap}
button:hover{background:var(--soft)}
.bar{position:sticky;top:0;z-index:2;background:var(--page);border-bottom:1px solid var(--line);padding:.6rem 0}
.bar .wrap{display:flex;gap:1rem;align-items:center}
.bar input{flex:0 1 26rem;min-width:0;font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.4rem .7rem}
.bar [role=status]{color:var(--quiet);font-size:.87rem;min-width:0}
nav{margin-left:auto;display:flex;gap:1rem;font-size:.9rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem;margin-top:1.25rem}
.tiles div{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.7rem .9rem;display:flex;flex-direction:column-reverse}
.tiles dt{color:var(--quiet);font-size:.87rem}
.tiles dd{margin:0;font-size:1.5rem;line-height:1.3;font-variant-numeric:tabular-nums}
.tiles dd.bad{color:var(--bad)}.tiles dd.warn{color:var(--warn)}.tiles dd.good{color:var(--good)}
section{margin:2rem 0}
section>h2,.head{margin-bottom:.7rem}
section>h3{margin:1rem 0 .5rem}
.head{display:flex;justify-content:space-between;align-items:center;gap:1rem}
table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{text-align:left;vertical-align:top;padding:.42rem .7rem .42rem 0;border-bottom:1px solid var(--line);font-weight:400}
thead th{font-size:.82rem;color:var(--quiet);padding-top:0}
tbody tr:last-child>*{border-bottom:0}
td small{display:block}
td[data-label=Service] small,th small{display:inline}
.ports,.checks,.concerns{background:var(--card);border:1px solid var(--line);border-radius:8px;border-collapse:separate;border-spacing:0}
@media(min-width:46.01rem){.ports th,.ports td,.endpoints th,.endpoints td[data-label=Health]{white-space:nowrap}.ports td[data-label=Service],.ports td[data-label="Answers on"],.ports td[data-label=State]{white-space:normal}}
.ports td[data-label="Answers on"]{min-width:8.5rem}
.concerns+p,.more+p{margin-top:.6rem}
#attention>p+p{margin-top:.5rem}
.more{margin-top:.5rem}
.ports th:first-child,.checks th:first-child,.ports td:first-child{padding-left:.9rem}
.ports thead th,.checks thead th{padding-top:.55rem}
.ports+.none,.ports~.quiet{margin-top:.6rem}
.checks th:first-child{white-space:nowrap;width:14rem;padding-right:1.2rem}
#node>.quiet{margin-bottom:.6rem}
.list{display:flex;flex-wrap:wrap;gap:.15rem .5rem}
.tag,.chip{display:inline-block;font-size:.8rem;line-height:1.35;padding:.06rem .45rem;border-radius:5px;background:var(--soft);color:var(--quiet);white-space:nowrap}
.chip{color:inherit}
.tag.good{background:var(--good-bg);color:var(--good)}.tag.warn{background:var(--warn-bg);color:var(--warn)}.tag.bad{background:var(--bad-bg);color:var(--bad)}
.health{white-space:nowrap;display:inline-flex;align-items:center;gap:.45rem;font-variant-numeric:tabular-nums}
.health .all{fill:var(--line)}
.health.good .part{fill:var(--good)}.health.warn .part{fill:var(--warn)}
.health.bad{color:var(--bad)}.health.bad .all{fill:var(--bad);opacity:.45}
.dot::before{content:"";display:inline-block;width:.55em;height:.55em;border-radius:50%;margin-right:.45em;background:var(--good)}
.dot.warn::before{background:var(--warn)}.dot.bad::before{background:var(--bad)}
.concerns>li{padding:.7rem .9rem;border-bottom:1px solid var(--line);border-left:3px solid var(--warn)}
.concerns>li.bad{border-left-color:var(--bad)}
.concerns>li:first-child{border-top-left-radius:7px}.concerns>li:last-child{border-bottom:0;border-bottom-left-radius:7px}
.concerns p+p{margin-top:.15rem}
.label{font-size:.82rem;color:var(--quiet);margin-right:.3rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;margin-bottom:.4rem}
.service{content-visibility:auto;contain-intrinsic-size:auto 2.9rem}
summary{cursor:pointer;display:flex;flex-wrap:wrap;gap:.2rem .9rem;align-items:center;padding:.5rem .9rem .5rem 2rem;list-style:none;border-radius:8px;position:relative}
summary::-webkit-details-marker{display:none}
summary::before{content:"";position:absolute;left:.95rem;top:1.05rem;width:.42em;height:.42em;border:solid var(--quiet);border-width:0 1.5px 1.5px 0;transform:rotate(-45deg);flex:none}
details[open]>summary::before{transform:rotate(45deg);margin-top:-.1rem}
summary:hover{background:var(--soft)}
.facts{display:flex;flex-wrap:wrap;gap:.2rem .5rem;align-items:center;font-size:.92em}
.end{margin-left:auto;display:flex;flex-wrap:wrap;gap:.25rem .5rem;align-items:center;justify-content:end}
.service>summary .health{min-width:5rem}
.body{padding:.4rem .9rem .9rem 2rem}
.body>.concerns{margin-bottom:.9rem}
.port+.port{margin-top:1.2rem;padding-top:1rem;border-top:1px solid var(--line)}
.policies{display:flex;flex-wrap:wrap;gap:.1rem 1.2rem;color:var(--quiet);font-size:.9rem;margin:.15rem 0 .6rem}
.endpoints{margin-bottom:.8rem}
.endpoints th,.endpoints td{padding-top:.25rem;padding-bottom:.25rem;font-size:.94rem}
.way{border:1px solid var(--line);border-radius:6px;margin-top:.35rem}
.way>summary{padding:.35rem .7rem .35rem 1.9rem}
.way>summary::before{top:.88rem;left:.85rem}
.answer{padding:.6rem .9rem .7rem}
.answer+.answer{border-top:1px solid var(--line)}
.answer ul{margin:.2rem 0 .4rem;padding-left:1.1rem;list-style:disc;font-size:.94rem}
.path{border-left:2px solid var(--line);padding-left:.9rem;font-size:.92rem}
.path li{margin:.12rem 0}
.path .hook{color:var(--quiet);font-size:.84rem;margin:.45rem 0 .1rem}
.path .rule{display:block;color:var(--quiet);font-size:.8em}
.path b{font-weight:600}
.d1{padding-left:1.2rem}.d2{padding-left:2.4rem}.d3{padding-left:3.6rem}.d4{padding-left:4.8rem}
.change{margin-top:.6rem}
pre{white-space:pre-wrap;font-size:.82rem}
ins,del{text-decoration:none;display:block}
ins{color:var(--good)}del{color:var(--bad)}
footer{color:var(--quiet);font-size:.87rem;padding:1rem 0 2.5rem;border-top:1px solid var(--line);margin-top:2.5rem}
@media(max-width:46rem){
.wrap{padding:0 .9rem}
header .wrap{gap:.6rem}
.bar .wrap{flex-wrap:wrap;gap:.4rem .9rem}
.bar input{flex:1 1 100%}
nav{margin-left:0}
header p{max-width:20rem}
.tiles{grid-template-columns:1fr 1fr;gap:.5rem}
.tiles div{padding:.5rem .7rem}
.ports thead,.endpoints thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
.ports,.ports tbody,.ports tr,.ports th,.ports td,.endpoints,.endpoints tbody,.endpoints tr,.endpoints th,.endpoints td{display:block;border:0}
.ports{border:1px solid var(--line)}
.ports tr{padding:.55rem .9rem;border-bottom:1px solid var(--line)}
.ports tbody tr:last-child{border-bottom:0}
.ports th,.ports th:first-child,.endpoints th{padding:.1rem 0}
.ports td,.endpoints td{padding:.1rem 0 .1rem 6.4rem;position:relative}
.ports th code{font-size:1.05rem;font-weight:600}
td[data-label]::before{content:attr(data-label);color:var(--quiet);font-size:.87rem;position:absolute;left:0}
.endpoints tr{padding:.35rem 0;border-bottom:1px solid var(--line)}
.checks,.checks tbody,.checks tr,.checks th,.checks td{display:block;width:auto;border:0}
.checks{border:1px solid var(--line)}
.checks thead{display:none}
.checks tr{padding:.5rem .9rem;border-bottom:1px solid var(--line)}
.checks th,.checks td,.checks th:first-child{padding:0;width:auto}
.body{padding-left:.9rem}
.end{margin-left:0;justify-content:start}
.tiles div:last-child{grid-column:1/-1}
.answer{padding:.5rem .7rem}
.d1{padding-left:.6rem}.d2{padding-left:1.2rem}.d3{padding-left:1.8rem}.d4{padding-left:2.4rem}
}
@media print{
:root,:root[data-theme=dark]{color-scheme:light;--page:#fff}
body{font-size:10pt}
.bar,button,.skip,footer{display:none!important}
.wrap{max-width:none;padding:0}
.service{content-visibility:visible}
tr,.path li,.concerns>li,summary{break-inside:avoid}
.tiles{grid-template-columns:repeat(5,1fr)}
h2,h3,h4,summary{break-after:avoid}
thead{display:table-header-group}
}
`;
