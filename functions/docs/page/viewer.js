'use strict';

// A plugin of Swagger UI: the layout of the page, code samples, and folded prose, headers and errors. `base` is the URL
// of the API, without a slash at its end.
function musterViewer(base) {
  return ({ React: { createElement: h, useState } }) => {
    /** A `details` element that renders its content only while it is open. */
    function Folded({ className, summary, children }) {
      const [open, setOpen] = useState(false);
      const onToggle = (event) => setOpen(event.currentTarget.open);
      return h('details', { className, onToggle }, h('summary', null, summary), open ? children() : null);
    }

    /** A button that copies a text. Browsers have the clipboard only over HTTPS and for loopback addresses. */
    function Copy({ label, text }) {
      const [copied, setCopied] = useState(false);
      if (!navigator.clipboard) return null;
      const onClick = async () => {
        await navigator.clipboard.writeText(text());
        setCopied(true);
        setTimeout(() => setCopied(false), 2000);
      };
      return h('button', { type: 'button', className: 'copy', onClick }, copied ? 'Copied' : label);
    }

    /** Code that scrolls, with its tokens in colors. */
    function code(text) {
      return h('pre', { tabIndex: 0 }, h('code', null, codeSamples.tokens(text).map(([sort, token], index) =>
        h('span', { key: index, className: sort }, token))));
    }

    /** A JSON text: an example or the body of a response. */
    function HighlightCode({ children, canCopy }) {
      const text = String(children);
      return h('div', { className: 'code-block' }, canCopy ? h(Copy, { label: 'Copy', text: () => text }) : null, code(text));
    }

    /** The base URL, the state of the credential, and the button that takes one. It stays on the screen. */
    function Toolbar({ authSelectors, viewerSelectors, getComponent }) {
      const Authorize = getComponent('AuthorizeBtnContainer', true);
      const credentials = authSelectors.authorized().valueSeq().map((definition) => definition.get('value')).toArray();
      const demo = viewerSelectors.demo();
      let state = credentials.length > 0 ? 'Authorized' : 'No credential yet';
      if (demo !== undefined && credentials.includes(demo.key)) state += ` with the demo key of ${demo.organization}`;
      return h('div', { className: 'toolbar' },
        h('div', { className: 'base-url' },
          h('span', { className: 'label' }, 'Base URL'),
          h('code', null, base),
          h(Copy, { label: 'Copy', text: () => base })),
        h('div', { className: 'credential' }, h('span', { className: 'state' }, state), h(Authorize)));
    }

    /** The description of the document: its summary, and the section of the chosen title. */
    function Guide({ specSelectors, getComponent }) {
      const [chosen, setChosen] = useState(null);
      const Markdown = getComponent('Markdown', true);
      const info = specSelectors.info();
      const [overview, ...titled] = (info.get('description') ?? '').split(/^## /mu);
      const sections = new Map([['Overview', overview], ...titled.map((section) => {
        const [title] = section.split('\n', 1);
        return [title, section.slice(title.length)];
      })]);
      return h('section', { className: 'guide', 'aria-label': 'Guide' },
        h('p', null, info.get('summary')),
        h('div', { className: 'guide-titles' }, [...sections.keys()].map((title) => h('button', {
          key: title,
          type: 'button',
          'aria-expanded': title === chosen,
          onClick: () => setChosen(title === chosen ? null : title),
        }, title))),
        sections.has(chosen)
          ? h('div', { className: 'guide-section' }, h(Markdown, { source: sections.get(chosen) }))
          : null);
    }

    function Layout({ specSelectors, getComponent }) {
      const part = (name) => h(getComponent(name, true));
      if (specSelectors.loadingStatus() !== 'success') {
        return h('div', { className: 'swagger-ui' }, part('errors'), h('p', { className: 'loading-document' },
          specSelectors.loadingStatus()?.startsWith('failed') ? 'The document is not available.' : 'Loading the document …'));
      }
      return h('div', { className: 'swagger-ui' }, part('SvgAssets'), part('MusterToolbar'), part('errors'),
        part('MusterGuide'), part('operations'), part('Models'));
    }

    /** Returns the request that Execute sends, without the credential. */
    function request({ path, method, specSelectors, oas3Selectors, fn }) {
      const operation = specSelectors.specResolvedSubtree(['paths', path, method]).toJS();
      const common = { method: method.toUpperCase(), hasResult: !('204' in operation.responses) };
      const body = oas3Selectors.requestBodyValue(path, method) ?? undefined;
      try {
        const { url, headers } = fn.buildRequest({
          spec: { openapi: '3.1.0', servers: [{ url: base }], paths: { [path]: { [method]: operation } } },
          operationId: operation.operationId,
          parameters: specSelectors.parameterValues([path, method]).toJS(),
        });
        const sent = Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'accept');
        if (body !== undefined) sent.push(['Content-Type', 'application/json']);
        return { ...common, url, headers: sent, body };
      } catch {
        // A required parameter has no value.
        return { ...common, url: base + path, headers: [], body };
      }
    }

    /** The code samples of an operation: the values are those of the form beside it. */
    function Samples(props) {
      const { authSelectors, viewerSelectors, viewerActions } = props;
      const chosen = viewerSelectors.language();
      const sample = codeSamples.languages.find(({ name }) => name === chosen).render(request(props));
      const key = authSelectors.authorized().valueSeq().map((definition) => definition.get('value')).first();
      return h('div', { className: 'samples' },
        h('div', { className: 'samples-bar' },
          h('div', { className: 'languages', role: 'group', 'aria-label': 'Language' },
            codeSamples.languages.map(({ name }) => h('button', {
              key: name,
              type: 'button',
              'aria-pressed': name === chosen,
              onClick: () => viewerActions.setLanguage(name),
            }, name))),
          h(Copy, { label: 'Copy', text: () => sample })),
        code(sample),
        h('p', { className: 'sample-note' }, h('code', null, codeSamples.VARIABLE), ' holds the credential. ',
          typeof key === 'string'
            ? h(Copy, { label: 'Copy its export', text: () => `export ${codeSamples.VARIABLE}=${codeSamples.quoted(key)}` })
            : null));
    }

    /** Samples, the response of Execute, the documented success, and the errors, which are folded. */
    function Responses(Original) {
      return (props) => {
        const { responses, tryItOutResponse, getComponent, getConfigs, specSelectors, path, method } = props;
        const MusterSamples = getComponent('MusterSamples', true);
        const LiveResponse = getComponent('liveResponse');
        const Markdown = getComponent('Markdown', true);
        const succeeds = (code) => code.startsWith('2');
        const errors = responses.filterNot((_, code) => succeeds(code));
        const documented = (shown) => h(Original, { ...props, responses: shown, tryItOutResponse: null });
        return h('div', { className: 'side' },
          h(MusterSamples, { path, method }),
          tryItOutResponse && h('section', {
            className: succeeds(String(tryItOutResponse.get('status'))) ? 'live' : 'live failed',
            'aria-live': 'polite',
          }, h(LiveResponse, {
            response: tryItOutResponse, getComponent, getConfigs, specSelectors, path, method, displayRequestDuration: false,
          })),
          h('section', { className: 'documented' }, documented(responses.filter((_, code) => succeeds(code)))),
          h(Folded, { className: 'errors', summary: `Errors: ${errors.keySeq().join(', ')}` }, () =>
            errors.entrySeq().map(([code, error]) => h(Folded, {
              key: code,
              className: 'documented',
              summary: [h('b', { key: 'code' }, code), h(Markdown, { key: 'text', source: error.get('description') })],
            }, () => documented(errors.filter((_, other) => other === code))))));
      };
    }

    function Headers(Original) {
      return (props) => (props.headers?.size
        ? h(Folded, { className: 'response-headers', summary: 'Response headers' }, () => h(Original, props))
        : null);
    }

    /** Hides the choice of an example if there is no choice. */
    function ExamplesSelect(Original) {
      return (props) => h('div', { className: props.examples.size < 2 ? 'single-example' : undefined }, h(Original, props));
    }

    return {
      components: { MusterLayout: Layout, MusterToolbar: Toolbar, MusterGuide: Guide, MusterSamples: Samples, HighlightCode },
      wrapComponents: {
        responses: Responses,
        headers: Headers,
        ExamplesSelect,
        CopyToClipboardBtn: () => () => null,
        // The toolbar has the button for all operations.
        authorizeOperationBtn: () => () => null,
        // The samples show the request without the credential.
        curl: () => () => null,
      },
      statePlugins: {
        spec: {
          wrapActions: {
            // Requests go to the API that serves the page, under the prefix of the page's own URL.
            updateJsonSpec: (original) => (document) => original({ ...document, servers: [{ url: base }] }),
          },
        },
        layout: {
          wrapActions: {
            // The original does not leave space for the toolbar above the operation that a link names.
            scrollToElement: () => (element) => element.scrollIntoView(),
          },
        },
        viewer: {
          actions: {
            setLanguage: (name) => ({ type: 'viewer_language', payload: name }),
            setDemo: (organization, key) => ({ type: 'viewer_demo', payload: { organization, key } }),
          },
          reducers: {
            viewer_language: (state, { payload }) => state.set('language', payload),
            viewer_demo: (state, { payload }) => state.set('demo', payload),
          },
          selectors: {
            language: (state) => state.get('language') ?? codeSamples.languages[0].name,
            demo: (state) => state.get('demo'),
          },
        },
      },
    };
  };
}
