# Reads the vectors with nothing of Stele: python3 statement/testdata/check.py (needs openssl)
import json,hashlib,base64,glob,struct,subprocess,tempfile,os
V=os.path.join(os.path.dirname(os.path.abspath(__file__)),'vectors','')
H=lambda b:hashlib.sha256(b).hexdigest()
for f in sorted(glob.glob(V+'*.json')):
    n=f[:-5]; v=json.load(open(f)); p=open(n+'.payload','rb').read(); d=json.load(open(n+'.dsse'))
    assert base64.b64decode(d['payload'],validate=True)==p
    pub=base64.b64decode(v['wire']['public']); alg=v['wire']['algorithm']
    kid=H(b'stele key v1\n'+alg.encode()+b'\n'+pub); assert kid==v['keyID']==d['signatures'][0]['keyid']
    t=d['payloadType'].encode()
    pae=b'DSSEv1 %d %s %d %s'%(len(t),t,len(p),p); assert H(pae)==v['paeSHA256']
    assert H(b'stele statement v1\n'+bytes.fromhex(kid)+t+p)==v['id']
    sig=base64.b64decode(d['signatures'][0]['sig'])
    u=lambda b:struct.pack('>H',len(b))+b
    assert (b'\x01'+bytes.fromhex(kid)+u(t)+u(p)+u(sig)+u(b'')).hex()==v['binary']
    if alg=='ecdsa-p256': m=b'ecdsa-p256\n'+pub[26:]
    elif alg=='ed25519': m=b'ed25519\n'+pub[12:]
    elif b'nistp256' in pub: m=b'ecdsa-p256\n'+pub[-65:]
    else: m=b'ed25519\n'+pub[-32:]
    assert H(b'stele key material v1\n'+m)==v['material']
    with tempfile.TemporaryDirectory() as td:
        open(td+'/k','w').write(v['key']); open(td+'/s','wb').write(sig); open(td+'/m','wb').write(pae)
        if alg=='ecdsa-p256': subprocess.check_call(['openssl','dgst','-sha256','-verify',td+'/k','-signature',td+'/s',td+'/m'],stdout=subprocess.DEVNULL)
        elif alg=='ed25519': subprocess.check_call(['openssl','pkeyutl','-verify','-pubin','-inkey',td+'/k','-rawin','-in',td+'/m','-sigfile',td+'/s'],stdout=subprocess.DEVNULL)
    st=json.loads(p); assert json.dumps(st,separators=(',',':'),ensure_ascii=False).encode()==p
s=json.load(open(os.path.join(V,'..','audit-seed.json')))
x=bytes.fromhex
assert H(b'stele audit seed v1\n'+x(s['leafHash'])+x(s['nonce'])+struct.pack('>Q',s['size'])+x(s['root']))==s['seed']
a,r=(json.load(open(V+'audit-%s.payload'%n))['predicate'] for n in ('announcement','result'))
assert H(x(r['result']['nonce']))==a['announcement']['nonceSHA256'] and r['result']['seed']==s['seed']
print('ok')
