# Reads the vectors with nothing of Stele: python3 statement/testdata/check.py (needs openssl)
import json,hashlib,base64,glob,struct,subprocess,tempfile,os,re,decimal,datetime
V=os.path.join(os.path.dirname(os.path.abspath(__file__)),'vectors','')
H=lambda b:hashlib.sha256(b).hexdigest()
PAE=lambda t,p:b'DSSEv1 %d %s %d %s'%(len(t),t,len(p),p)
def verify(alg,public,message,sig): # by openssl; the key in PEM
    with tempfile.TemporaryDirectory() as td:
        for n,b in ('k',public.encode()),('s',sig),('m',message): open(td+'/'+n,'wb').write(b)
        how=['dgst','-sha256','-verify',td+'/k','-signature',td+'/s',td+'/m'] if alg=='ecdsa-p256' else ['pkeyutl','-verify','-pubin','-inkey',td+'/k','-rawin','-in',td+'/m','-sigfile',td+'/s']
        assert subprocess.run(['openssl',*how],stdout=subprocess.DEVNULL).returncode==0
for f in sorted(glob.glob(V+'*.json')):
    n=f[:-5]; v=json.load(open(f)); p=open(n+'.payload','rb').read(); d=json.load(open(n+'.dsse'))
    assert base64.b64decode(d['payload'],validate=True)==p
    pub=base64.b64decode(v['wire']['public']); alg=v['wire']['algorithm']
    kid=H(b'stele key v1\n'+alg.encode()+b'\n'+pub); assert kid==v['keyID']==d['signatures'][0]['keyid']
    t=d['payloadType'].encode()
    pae=PAE(t,p); assert H(pae)==v['paeSHA256']
    assert H(b'stele statement v1\n'+bytes.fromhex(kid)+t+p)==v['id']
    sig=base64.b64decode(d['signatures'][0]['sig'])
    u=lambda b:struct.pack('>H',len(b))+b
    assert (b'\x01'+bytes.fromhex(kid)+u(t)+u(p)+u(sig)+u(b'')).hex()==v['binary']
    if alg=='ecdsa-p256': m=b'ecdsa-p256\n'+pub[26:]
    elif alg=='ed25519': m=b'ed25519\n'+pub[12:]
    elif b'nistp256' in pub: m=b'ecdsa-p256\n'+pub[-65:]
    else: m=b'ed25519\n'+pub[-32:]
    assert H(b'stele key material v1\n'+m)==v['material']
    if alg!='ssh': verify(alg,v['key'],pae,sig)
    st=json.loads(p); assert json.dumps(st,separators=(',',':'),ensure_ascii=False).encode()==p
# A delegation and an envelope with it, as docs/formats/delegation.md and envelope.md have them.
def binary(b): # form, key id, then four parts with their lengths
    assert b[0]==1; kid,rest,parts=b[1:33].hex(),b[33:],[]
    while rest: n,=struct.unpack('>H',rest[:2]); parts.append(rest[2:2+n]); assert len(parts[-1])==n; rest=rest[2+n:]
    assert len(parts)==4; return kid,*parts
def keyid(alg,pem): return H(b'stele key v1\n'+alg.encode()+b'\n'+base64.b64decode(''.join(pem.splitlines()[1:-1])))
D=os.path.join(V,'..','delegation','delegation'); v=json.load(open(D+'.json')); bound=bytes.fromhex(v['delegation'])
by,t,doc,sig,nested=binary(bound); w=json.loads(doc)
assert by==v['issuerID']==keyid('ed25519',v['issuer']) and t==b'application/vnd.stele.delegation+json' and not nested and doc.decode()==v['document'] and len(bound)<=3955
assert H(PAE(t,doc))==v['paeSHA256']; verify('ed25519',v['issuer'],PAE(t,doc),sig)
assert list(w)==['stele','ledger','key','subject','source','names','kinds','notBefore','notAfter'] and json.dumps(w,separators=(',',':'),ensure_ascii=False).encode()==doc
assert w['stele']=='delegation/v1' and 0<w['notAfter']-w['notBefore']<=3600_000 and 1<=len(w['names'])<=16 and len(w['subject'])<=512 and len(w['source'])<=255
for l in w['names'],w['kinds']: assert l==sorted(set(l)) and l
assert set(w['kinds'])<={'audit','evaluation','import','release','run','stamp'} and w['key']['public']==''.join(v['key'].splitlines()[1:-1])
job,t,p,sig,carried=binary(bytes.fromhex(v['binary'])); d=json.load(open(D+'.dsse'))
assert carried==bound==base64.b64decode(d['delegation'],validate=True) and job==v['keyID']==keyid(w['key']['algorithm'],v['key'])==d['signatures'][0]['keyid']
assert base64.b64decode(d['payload'])==p and d['payloadType'].encode()==t and base64.b64decode(d['signatures'][0]['sig'])==sig and H(b'stele statement v1\n'+bytes.fromhex(job)+t+p)==v['id']
verify(w['key']['algorithm'],v['key'],PAE(t,p),sig); st=json.loads(p)
assert st['predicate']['ledger']==w['ledger'] and st['predicateType'].split('/')[3] in w['kinds']
assert all(any(n==x if x[-1]!='*' else n.startswith(x[:-1]) for x in w['names']) for n in (s['name'].split('@')[0] for s in st['subject']))
assert v['request']=='stele delegation request v1\n%s\n%s\n%s\n'%(w['ledger'],job,H(b'a.b.c'))
private,mark,block=open(D+'.key').read().partition('-----BEGIN STELE DELEGATION-----\n')
assert subprocess.run(['openssl','pkey','-pubout'],input=private,capture_output=True,text=True,check=True).stdout==v['key'] and base64.b64decode(block.rpartition('-----END')[0])==bound
s=json.load(open(os.path.join(V,'..','audit-seed.json')))
x=bytes.fromhex
assert H(b'stele audit seed v1\n'+x(s['leafHash'])+x(s['nonce'])+struct.pack('>Q',s['size'])+x(s['root']))==s['seed']
a,r=(json.load(open(V+'audit-%s.payload'%n))['predicate'] for n in ('announcement','result'))
assert H(x(r['result']['nonce']))==a['announcement']['nonceSHA256'] and r['result']['seed']==s['seed']

# What the statements say, by the pages alone.
NAME=r'(?:[a-z0-9][a-z0-9._-]*/)*[a-z0-9][a-z0-9._-]*@[A-Za-z0-9][A-Za-z0-9._+-]*'
HEX=lambda n,t: re.fullmatch('[0-9a-f]{%d}'%n,t)
def ref(r):
    assert set(r)=={'name','digest'} and re.fullmatch(NAME,r['name']) and len(r['digest'])==1
    (k,v),=r['digest'].items(); assert k in('stele-sha256','stele-blake3') and HEX(64,v)
    return r['name']
def refs(l,most):
    names=[ref(r) for r in l]; assert names==sorted(set(names)) and len(names)<=most
    return names
def members(o,must,may):
    assert set(must)<=set(o)<=set(must)|set(may), o
def attachment(o):
    if 'details' in o: members(o['details'],['sha256','size'],[]); assert HEX(64,o['details']['sha256']) and o['details']['size']>0
def number(t):
    d=decimal.Decimal(t)
    assert format(d,'f')==t and len(t)<=32 and not (d==0 and d.is_signed()) and ('.' not in t or t[-1]!='0')
    assert len(t.strip('-').replace('.','').strip('0'))<=15 and format(decimal.Decimal(repr(float(t))),'f').removesuffix('.0')==t
def time(t):
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z',t)
    return datetime.datetime.fromisoformat(t)
def run(st):
    p=st['predicate']; members(p,['buildDefinition','runDetails'],[])
    d,r=p['buildDefinition'],p['runDetails']
    members(d,['buildType','externalParameters','internalParameters'],['resolvedDependencies']); assert d['buildType']=='https://stele.dev/run/v1'
    e,i=d['externalParameters'],d['internalParameters']
    members(e,['ledger'],['attemptOf','details']); members(i,['observation'],['failed','exit','outputs']); attachment(e)
    members(r,['builder','metadata'],[]); members(r['builder'],['id'],[]); members(r['metadata'],['invocationId','startedOn','finishedOn'],[])
    assert r['builder']['id']=='https://stele.dev/builder/%s/v1'%i['observation'] and i['observation'] in('wrapped','reported')
    n=r['metadata']['invocationId']; assert HEX(32,n) and int(n,16) and e.get('attemptOf',n[::-1])!=n
    assert time(r['metadata']['startedOn'])<=time(r['metadata']['finishedOn'])
    assert 'exit' in i or i['observation']=='reported'
    assert i.get('failed',True) is True and ('exit' not in i or 0<=i['exit']<=255 and (i['exit']!=0)==('failed' in i))
    if 'outputs' in i:
        made=refs(st['subject'],100); assert len(made)==len(i['outputs']) and 'failed' not in i
        for o in i['outputs']:
            if o: members(o,['kind','files','bytes','ignore','basis'],['listed','since','changes','annotations','details']); attachment(o)
    else:
        made=[]; assert st['subject']==[{'name':'run/'+n,'digest':{'stele-run':n}}]
    left=list(d.get('resolvedDependencies',[])); assert left or 'resolvedDependencies' not in d
    used=[]
    while left and '@' in left[0]['name'] and ':' not in left[0]['name']: used.append(left.pop(0))
    used=refs(used,100); assert not set(used)&set(made) and len(used)+len(made)<=100
    if left and left[0]['name']=='code':
        c=left.pop(0); members(c,['name','digest'],['uri','annotations'])
        assert list(c['digest'])==['gitCommit'] and re.fullmatch('[0-9a-f]{40}|[0-9a-f]{64}',c['digest']['gitCommit']) and c.get('annotations',{'dirty':True})=={'dirty':True}
        assert re.match(r'git\+(https?|ssh|git)://[^/]',c.get('uri','git+https://x'))
        if left and left[0]['name']=='tree': assert 'annotations' in c; t=left.pop(0); ref({'name':'x@1','digest':t['digest']}); members(t,['name','digest'],[])
    if left and left[0]['name']=='image':
        m=left.pop(0); members(m,['name','digest'],['uri']); assert list(m['digest'])==['sha256'] and re.match('oci://[A-Za-z0-9]',m.get('uri','oci://x'))
    paths=[l['name'].removeprefix('lock:') for l in left]
    assert all(l['name'].startswith('lock:') and list(l)==['name','digest'] and list(l['digest'])==['sha256'] and HEX(64,l['digest']['sha256']) for l in left)
    assert paths==sorted(set(paths)) and len(paths)<=32
def stage(p): assert re.fullmatch('[a-z0-9][a-z0-9._-]{0,63}',p['stage']) and p['after']>0
def evaluation(p):
    members(p,['ledger','nonce','metrics','datasets'],['details']); attachment(p); assert 1<=len(p['metrics'])<=64 and refs(p['datasets'],100)
    for k,v in p['metrics'].items(): assert re.fullmatch('[a-z0-9][a-z0-9._/@:-]{0,63}',k); number(v)
def approval(p):
    members(p,['ledger','nonce','stage','decision','after'],['reason']); stage(p); assert p['decision']=='approve' or p['decision']=='reject' and p['reason']
def release(p):
    members(p,['ledger','nonce','stage','action','after'],['replaces','reason']); stage(p); assert p['action']=='join' or p['action']=='leave' and 'replaces' not in p
    assert 'replaces' not in p or refs(p['replaces'],16)
def imported(p):
    members(p,['ledger','nonce','format','predicateType','document','key'],['hash','resources','ignored'] if p['format']=='oms' else ['inputs','builder'])
    attachment({'details':p['document']}); members(p['key'],['method','sha256'],['subject'] if p['key']['method']=='certificate' else []); assert HEX(64,p['key']['sha256'])
    if p['format']=='oms': assert p['hash'] in('sha256','blake2b','blake3') and p['resources']>0 and p.get('ignored')==sorted(set(p['ignored']))
    else: assert p['format']=='in-toto' and refs(p['inputs'],100)
def contract(p):
    action=p['action']; d=st['subject'][0]['digest']; assert list(d)==['sha256']
    if action=='lift':
        members(p,['ledger','nonce','action','name','version','sha256'],['reason']); assert HEX(64,p['sha256']); doc,digest=p,p['sha256']
    else:
        members(p,['ledger','nonce','action','document'],[]); assert action in('put','propose')
        text=json.dumps(p['document'],sort_keys=True,separators=(',',':'),ensure_ascii=False).encode(); digest=H(text) # RFC 8785, where names are ASCII and numbers short
        assert text in raw and len(text)<=48<<10 and p['document']['apiVersion']=='stele.dev/v1' and p['document']['kind']=='Contract'; doc=p['document']['metadata']
    assert 1<=doc['version']<=10**9 and st['subject'][0]=={'name':'%s@%d'%(doc['name'],doc['version']),'digest':{'sha256':digest}}
kinds={'evaluation':evaluation,'approval':approval,'release':release,'import':imported}
seen=set()
for f in sorted(glob.glob(V+'*.payload')):
    raw=open(f,'rb').read(); st=json.loads(raw); t=st['predicateType']; kind=t.split('/')[3]
    if t=='https://slsa.dev/provenance/v1': run(st); seen.add('run')
    elif kind=='contract': contract(st['predicate']); seen.add(kind)
    elif kind in kinds:
        assert t=='https://stele.dev/%s/v1'%kind and len(st['subject'])==1; own=ref(st['subject'][0]); kinds[kind](st['predicate']); seen.add(kind)
        assert own not in [r['name'] for k in('replaces','inputs') for r in st['predicate'].get(k,[])]
assert seen=={'run','contract'}|set(kinds), seen
details=open(V+'details-run','rb').read()
assert H(details)==json.load(open(V+'run.payload'))['predicate']['buildDefinition']['externalParameters']['details']['sha256']
assert json.dumps(json.loads(details),separators=(',',':'),ensure_ascii=False).encode()==details
tree=json.load(open(V+'details-tree')); members(tree['tree'],[],['changed','untracked','deleted','leftOut','leftOutBytes']); del tree['tree']
assert tree==json.loads(details)
print('ok')
